import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { MASKING_DEFAULTS, SAMPLING_DEFAULTS } from "../config/batch_config.ts";
import { TRAINING_DEFAULTS, type TrainingConfig } from "../config/run_config.ts";
import { MetricsFile, readMetricsFile } from "../run/metrics_file.ts";
import { learningRate, Pauses, progressOf, Schedule } from "./schedule.ts";
import { microBatches, sharedMicroBatches } from "./train.ts";

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

/** When a run of so long pauses, in ms, at milestones (400 ms) and only to save (`save_ms`). */
function pausesOf(extent: TrainingConfig["extent"], total_ms: number, save_ms = 100) {
  const pauses = new Pauses(extent, 0, 0, save_ms);
  const times: { milestones: number[]; saves: number[]; paused_ms: number } = {
    milestones: [],
    saves: [],
    paused_ms: 0,
  };
  for (let elapsed = 0; elapsed < total_ms; elapsed += 10) {
    const progress = elapsed / total_ms;
    const milestone = pauses.isMilestone(progress, elapsed);
    if (!milestone && !pauses.isSaveDue(progress, elapsed)) continue;
    times[milestone ? "milestones" : "saves"].push(elapsed);
    const pause_ms = milestone ? 400 : save_ms;
    elapsed += pause_ms;
    times.paused_ms += pause_ms;
    pauses.paused(progress, elapsed, pause_ms, { milestone, saved: true });
  }
  return times;
}

Deno.test("Pauses are ten of a run by steps, and at most a tenth of the time of a run by time", () => {
  assertEquals(pausesOf({ steps: 1000 }, 10_000).milestones.length, 9); // the tenth is its end
  assertEquals(pausesOf({ budget_ms: 10_000 }, 10_000).milestones.length, 2);
  assert(!new Pauses({ steps: 10 }, 0.35, 0, 0).isMilestone(0.39, 0), "a resumed run goes on to the next one");
});

Deno.test("Pauses save soon after the beginning, then every three minutes, and never for a tenth of the time", () => {
  const { saves, milestones } = pausesOf({ steps: 1000 }, 3 * 3_600_000);
  assertEquals(saves[0], 900, "after nine times as long as it takes");
  assertEquals(milestones.length, 9);
  const all = [...saves, ...milestones].sort((a, b) => a - b);
  assert(all.every((time, i) => i === 0 || time - all[i - 1] <= 181_000), "no gap is longer");
  for (const save_ms of [100, 3000, 30_000]) {
    for (const total_ms of [10_000, 60_000, 600_000]) {
      const { paused_ms } = pausesOf({ budget_ms: total_ms }, total_ms, save_ms);
      assert(paused_ms <= 0.1 * total_ms, `${paused_ms} of ${total_ms} ms with saves of ${save_ms}`);
    }
  }
  assertEquals(new Pauses({ steps: 10 }, 0.35, 5000, 0).isSaveDue(0.4, 6000), false, "a resumed run has one already");
});

Deno.test("Schedule of an extension goes from where the run stood to that of a longer run, and ends at zero", () => {
  const before = new Schedule(TRAINING);
  const at = (step: number) => ({ step, epoch: 0, elapsed_ms: 0, reserved_ms: 0 });
  for (const stopped of [100, 40]) {
    const extension = before.extension({ steps: 200 }, at(stopped));
    assertEquals(extension.progress, stopped / 200);
    assertAlmostEquals(extension.learning_rate, learningRate(stopped / 100, TRAINING), 1e-12);
    const after = new Schedule(TRAINING, [extension]);
    const long = new Schedule({ ...TRAINING, extent: { steps: 200 } });
    assertEquals(after.progress(at(100)), 0.5);
    for (let step = 0; step < stopped; step++) {
      assertEquals(after.learningRate(at(step)), before.learningRate(at(step)));
    }
    const met = stopped + Math.ceil(0.1 * (200 - stopped));
    for (let step = met; step <= 200; step++) {
      assertAlmostEquals(after.learningRate(at(step)), long.learningRate(at(step)), 1e-12);
    }
    const [first, second] = [stopped, stopped + 1].map((step) => after.learningRate(at(step)));
    assert(first > 0 && first >= extension.learning_rate && second > first, "it rises again, step by step");
    assertEquals(after.learningRate(at(200)), 0);
  }
});

Deno.test("sharedMicroBatches are a power of two that holds a sequence each, and no more than the engine can take", () => {
  assertEquals(sharedMicroBatches(2048, 128, 2), 8);
  assertEquals(sharedMicroBatches(2048, 128, 16), 16);
  assertEquals(sharedMicroBatches(2048, 128, 32), 16);
  assertEquals(sharedMicroBatches(512, 128, 2), 4);
  assertEquals(sharedMicroBatches(128, 128, 1), 1);
  assertEquals(sharedMicroBatches(16_384 * 9, 128, 1), 16);
});

Deno.test("microBatches cuts an update into equal parts that the engine can take", () => {
  assertEquals(microBatches({ batch_tokens: 4096 }), { count: 1, tokens: 4096 });
  assertEquals(microBatches({ batch_tokens: 16_384 }), { count: 1, tokens: 16_384 });
  assertEquals(microBatches({ batch_tokens: 40_000 }), { count: 3, tokens: 13_334 });
  assertEquals(microBatches({ batch_tokens: 131_072, micro_batch_tokens: 65_536 }), { count: 2, tokens: 65_536 });
  assertEquals(microBatches({ batch_tokens: 40_000, micro_batch_tokens: 40_000 }), { count: 1, tokens: 40_000 });
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

Deno.test("MetricsFile leaves damaged lines where they are, names them, and reads the others", async () => {
  const path = await Deno.makeTempFile();
  try {
    const file = await MetricsFile.open(path, 0);
    const metric = (step: number) => ({ kind: "evaluation", step, loss: 2 }) as Parameters<typeof file.write>[0];
    for (const step of [1, 2, 3, 4]) await file.write(metric(step));
    const bytes = await Deno.readFile(path);
    bytes[bytes.indexOf(10) + 40] ^= 0x80; // in the second line, and no UTF-8 any more
    await Deno.writeFile(path, bytes);
    const [, second] = new TextDecoder().decode(bytes).split("\n");
    const { metrics, damages, count } = await readMetricsFile(path);
    assertEquals(metrics.map(({ step }) => step), [1, 3, 4]);
    assertEquals([damages, count], [["line 2 of metrics.jsonl is damaged and left out"], 4]);
    const again = await MetricsFile.open(path, 3);
    assertEquals([again.earlier.map(({ step }) => step), again.lacks(3), again.count], [[1, 3], damages, 3]);
    assertEquals(again.lacks(5), [...damages, "metrics.jsonl has 3 lines, but had 5 at that checkpoint"]);
    await again.write(metric(4));
    assertEquals((await Deno.readTextFile(path)).split("\n")[1], second);
    assertEquals((await readMetricsFile(path)).metrics.map(({ step }) => step), [1, 3, 4]);
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("Schedule.doneAt is of the extent that the run had at that step", () => {
  const schedule = new Schedule(TRAINING, [{ step: 50, extent: { steps: 200 }, progress: 0.25, learning_rate: 1e-3 }]);
  const at = (step: number) => schedule.doneAt({ step, epoch: 0, elapsed_ms: 0, reserved_ms: 0 });
  assertEquals([at(0), at(49), at(50), at(200)], [0, 0.49, 0.25, 1]);
});

Deno.test("Schedule.recipeProgress goes on in a longer run from where it stood, never back, to 1 at the new end", () => {
  const at = (step: number) => ({ step, epoch: 0, elapsed_ms: 0, reserved_ms: 0 });
  const before = new Schedule(TRAINING);
  for (const stopped of [100, 40]) {
    const first = before.extension({ steps: 200 }, at(stopped));
    assertAlmostEquals(first.recipe_progress!, stopped / 100, 1e-12);
    const once = new Schedule(TRAINING, [first]);
    const twice = new Schedule(TRAINING, [first, once.extension({ steps: 1000 }, at(150))]);
    for (const [schedule, end] of [[once, 200], [twice, 1000]] as const) {
      const shares = Array.from({ length: end + 1 }, (_, step) => schedule.recipeProgress(at(step)));
      assert(shares.every((share, i) => i === 0 || share >= shares[i - 1]), `${stopped}: ${shares}`);
      assertAlmostEquals(shares[stopped], stopped / 100, 1e-12);
      assertAlmostEquals(shares[end], 1, 1e-12);
    }
  }
});

Deno.test("Schedule.recipeProgress of a run that an older version made longer begins again at its progress", () => {
  const schedule = new Schedule(TRAINING, [{ step: 100, extent: { steps: 200 }, progress: 0.5, learning_rate: 0 }]);
  for (const step of [100, 160]) {
    const reached = { step, epoch: 0, elapsed_ms: 0, reserved_ms: 0 };
    assertAlmostEquals(schedule.recipeProgress(reached), schedule.doneAt(reached), 1e-12);
  }
});
