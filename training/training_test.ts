import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { MASKING_DEFAULTS, SAMPLING_DEFAULTS } from "../config/batch_config.ts";
import type { MlmBatch } from "../config/mlm_batch.ts";
import { TRAINING_DEFAULTS, type TrainingConfig } from "../config/run_config.ts";
import { causalBatch } from "./causal_batches.ts";
import { unigramBaseline } from "./evaluation.ts";
import { MetricsFile } from "./metrics.ts";
import { learningRate, Milestones, progressOf } from "./schedule.ts";
import { wilson } from "./tally.ts";
import { microBatches, sequenceWeight } from "./train.ts";

const TRAINING: TrainingConfig = {
  ...TRAINING_DEFAULTS,
  objective: "mlm",
  ...MASKING_DEFAULTS,
  ...SAMPLING_DEFAULTS,
  seed: 0,
  extent: { steps: 100 },
  batch_tokens: 1024,
  max_sequence_length: 64,
  learning_rate: 1e-3,
  warmup_ratio: 0.1,
};

Deno.test("learningRate rises linearly, falls linearly, and ends at zero", () => {
  const at = (progress: number) => learningRate(progress, TRAINING) / TRAINING.learning_rate;
  assert(at(0) > 0 && at(0) < 0.02, "the first update is small, not nothing");
  assertAlmostEquals(at(0.05), 0.5, 1e-12);
  assertAlmostEquals(at(0.1), 1, 1e-12);
  assertAlmostEquals(at(0.55), 0.5, 1e-12);
  assertEquals(at(1), 0);
});

Deno.test("progressOf reaches 1 by steps, epochs or time, and keeps time for what comes last", () => {
  const reached = { step: 50, epoch: 0.5, elapsed_ms: 5000, reserved_ms: 0 };
  assertEquals(progressOf({ steps: 100 }, reached), 0.5);
  assertEquals(progressOf({ steps: 40 }, reached), 1);
  assertEquals(progressOf({ epochs: 2 }, reached), 0.25);
  assertEquals(progressOf({ budget_ms: 10_000 }, reached), 0.5);
  assertEquals(progressOf({ budget_ms: 10_000 }, { ...reached, reserved_ms: 5000 }), 1);
});

/** Pauses of 400 ms in a run of ten seconds. */
function pausesOf(extent: TrainingConfig["extent"]): number {
  const milestones = new Milestones(extent, 0);
  let pauses = 0;
  for (let elapsed = 0; elapsed < 10_000; elapsed += 10) {
    const progress = elapsed / 10_000;
    if (!milestones.isDue(progress, elapsed)) continue;
    pauses++;
    elapsed += 400;
    milestones.paused(progress, elapsed, 400);
  }
  return pauses;
}

Deno.test("Milestones are ten of a run by steps, and at most a tenth of the time of a run by time", () => {
  assertEquals(pausesOf({ steps: 1000 }), 9); // the tenth is its end
  assertEquals(pausesOf({ budget_ms: 10_000 }), 2); // at 1 s, and 3.6 s after that; less is left after the second
  assert(!new Milestones({ steps: 10 }, 0.35).isDue(0.39, 0), "a resumed run goes on to the next one");
});

Deno.test("microBatches cuts an update into equal parts that the engine can take", () => {
  assertEquals(microBatches(4096), { count: 1, tokens: 4096 });
  assertEquals(microBatches(16_384), { count: 1, tokens: 16_384 });
  assertEquals(microBatches(40_000), { count: 3, tokens: 13_334 });
});

Deno.test("sequenceWeight makes a sum by tokens the mean over tokens plus the mean over pairs", () => {
  const batch = (tokens: number, pairs: number) => ({
    labels: new Int32Array(tokens),
    ...(pairs === 0 ? {} : { next_sentence_label: new Int32Array(pairs) }),
  } as MlmBatch);
  assertEquals(sequenceWeight([batch(12, 3)]), 4);
  assertEquals(sequenceWeight([batch(12, 3), batch(8, 1)]), 5);
  assertEquals(sequenceWeight([batch(12, 0)]), 1);
});

Deno.test("causalBatch predicts every next token inside its sequence", () => {
  const batch = {
    input_ids: Int32Array.of(2, 10, 11, 3, 2, 3),
    cu_seqlens: Int32Array.of(0, 4, 6),
    masked_positions: new Int32Array(0),
    labels: new Int32Array(0),
  } as unknown as MlmBatch;
  const { masked_positions, labels, input_ids } = causalBatch(batch);
  assertEquals([...masked_positions], [0, 1, 2, 4]);
  assertEquals([...labels], [10, 11, 3, 3]);
  assertEquals(input_ids, batch.input_ids);
});

Deno.test("wilson gives the published interval", () => {
  // Newcombe (1998), table I: 81 of 263.
  const [low, high] = wilson(81, 263);
  assertAlmostEquals(low, 0.2553, 5e-5);
  assertAlmostEquals(high, 0.3662, 5e-5);
  const [zero, some] = wilson(0, 10);
  assert(zero === 0 && some > 0.2 && some < 0.3);
});

Deno.test("unigramBaseline equals entropy and cross-entropy worked out by hand", () => {
  const counts = Float64Array.of(0, 2, 1, 1);
  const batch = { labels: Int32Array.of(1, 3) } as MlmBatch;
  const { entropy, loss, accuracy } = unigramBaseline(counts, [batch]);
  assertAlmostEquals(entropy, 1.5 * Math.LN2, 1e-12);
  assertAlmostEquals(loss, -(Math.log(3 / 8) + Math.log(2 / 8)) / 2, 1e-12);
  assertEquals(accuracy, 0.5);
});

Deno.test("MetricsFile drops what came after the checkpoint and a line that was cut off", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, '{"step":1}\n{"step":2}\n{"step":3}\n{"st');
    const file = await MetricsFile.open(path, 2);
    const metric = { kind: "evaluation", step: 4 } as Parameters<typeof file.write>[0];
    await file.write(metric);
    const steps = (await Deno.readTextFile(path)).trim().split("\n").map((line) => JSON.parse(line).step);
    assertEquals(steps, [1, 2, 4]);
  } finally {
    await Deno.remove(path);
  }
});
