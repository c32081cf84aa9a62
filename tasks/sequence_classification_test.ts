import { assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import type { Batch } from "../config/batch.ts";
import { FINETUNE_DEFAULTS, type FinetuneConfig } from "../config/run_config.ts";
import { classifierHeads } from "../model/model_heads.ts";
import { finetuningMeasures, LabeledBatches, LastAnswers, trainedHeads } from "./finetuning_task.ts";
import { SEQUENCE_CLASSIFICATION } from "./sequence_classification.ts";

const CONFIG: FinetuneConfig = {
  ...FINETUNE_DEFAULTS,
  learning_rate: 1e-3,
  seed: 1,
  batch_size: 4,
  max_sequence_length: 8,
  probe: false,
};

/** Sequences of two tokens: the first says which one it is; its class is that number modulo 3. */
const sequences = Array.from({ length: 10 }, (_, i) => ({ ids: Int32Array.of(i, 99), label: i % 3 }));

Deno.test("LabeledBatches visits every sequence once an epoch, each time in another order, and goes to any position", () => {
  using batches = new LabeledBatches(SEQUENCE_CLASSIFICATION, sequences, CONFIG);
  assertEquals(batches.perEpoch, 3);
  const epochs = [0, 1].map((epoch) => {
    const seen: number[] = [];
    for (let n = 0; n < 3; n++) {
      assertEquals(batches.position, { window: epoch, batch: n });
      assertEquals(batches.epoch, (3 * epoch + n) / 3);
      const { input_ids, sequence_labels, masked_positions, labels } = batches.next();
      assertEquals([masked_positions.length, labels.length], [0, 0]);
      const found = [...input_ids].filter((id) => id !== 99);
      assertEquals([...sequence_labels], found.map((id) => id % 3));
      assertEquals(found.length, n < 2 ? 4 : 2, "what is left over is the last batch");
      seen.push(...found);
    }
    assertEquals(seen.toSorted((a, b) => a - b), sequences.map((_, i) => i));
    return seen;
  });
  assertEquals(epochs[0].join() === epochs[1].join(), false);
  batches.position = batches.positionOf(4);
  assertEquals([...batches.next().input_ids].filter((id) => id !== 99), epochs[1].slice(4, 8));
});

Deno.test("LabeledBatches.skip passes over what next would give", () => {
  using batches = new LabeledBatches(SEQUENCE_CLASSIFICATION, sequences, CONFIG);
  const tokens = [0, 1, 2].map(() => batches.next().input_ids.length);
  batches.position = batches.positionOf(0);
  assertEquals([batches.skip(), batches.skip(), batches.skip()], tokens);
  assertEquals(batches.position, batches.positionOf(3));
});

Deno.test("SEQUENCE_CLASSIFICATION counts sequences, and its loss is a mean over them", () => {
  const batch = { sequence_labels: new Int32Array(3), labels: new Int32Array(0) } as Batch;
  assertEquals(SEQUENCE_CLASSIFICATION.predicted(batch), 3);
  assertEquals(SEQUENCE_CLASSIFICATION.sequenceWeight({ tokens: 9, predicted: 2, sequences: 2 }), 1);
  const none = { loss_sum: 0, masked: 0, correct: 0 };
  const sums = { ...none, sequence_loss_sum: 6, sequences: 4, sequences_correct: 1 };
  assertEquals(SEQUENCE_CLASSIFICATION.trained(sums), { loss: 1.5, accuracy: 0.25 });
});

Deno.test("trainedHeads freezes the encoder of a probe, and a decoder's classifier pools the last token", () => {
  const head = {
    labels: ["a", "b", "c"],
    classifier_dropout: 0.1,
    problem_type: "single_label_classification" as const,
  };
  const sequence = {
    kind: "classification" as const,
    num_labels: 3,
    problem_type: "single_label_classification" as const,
    classifier_dropout: 0.1,
  };
  assertEquals(trainedHeads(classifierHeads(head, false), CONFIG), {
    tokens: null,
    sequence: { ...sequence, pools: "first" },
    is_decoder: false,
    freeze_encoder: false,
  });
  assertEquals(trainedHeads(classifierHeads(head, true), { ...CONFIG, probe: true }), {
    tokens: null,
    sequence: { ...sequence, pools: "last" },
    is_decoder: true,
    freeze_encoder: true,
  });
});

Deno.test("finetuningMeasures measures valid at each pause and train at the end, by the logits", async () => {
  const asked: number[] = [];
  const engine = {
    evaluate: () => Promise.reject(new Error("no token is predicted")),
    logits: () => Promise.reject(new Error("no token is predicted")),
    // The right class of all sequences but number 0, which it takes for class 2; loss log(1 + 2/e) of a right one.
    sequenceLogits: ({ input_ids, cu_seqlens }: Batch, outputs: number) => {
      asked.push(cu_seqlens.length - 1);
      const logits = new Float32Array(outputs * (cu_seqlens.length - 1));
      for (let b = 0; b + 1 < cu_seqlens.length; b++) {
        const id = input_ids[cu_seqlens[b]];
        logits[outputs * b + (id === 0 ? 2 : id % 3)] = 1;
      }
      return Promise.resolve(logits);
    },
  };
  const many = Array.from({ length: 40 }, (_, i) => sequences[i % 10]);
  const [valid, train] = finetuningMeasures(SEQUENCE_CLASSIFICATION, { train: many, valid: sequences }, [
    "a",
    "b",
    "c",
  ], new LastAnswers());
  assertEquals([valid.line, valid.atEnd], [{ kind: "classification", split: "valid" }, false]);
  assertEquals([train.line, train.atEnd], [{ kind: "classification", split: "train" }, true]);
  const { signal } = new AbortController();
  const result = await valid.take(engine, signal);
  assertEquals([result?.accuracy, result?.count, result?.majority], [0.9, 10, 0.4]);
  assertEquals(result?.confusion, [[3, 0, 1], [0, 3, 0], [0, 0, 3]]);
  assertAlmostEquals(result!.loss, 0.9 * Math.log(1 + 2 / Math.E) + 0.1 * Math.log(2 + Math.E), 1e-6);
  assertEquals((await train.take(engine, signal))?.count, 40);
  assertEquals(asked, [10, 32, 8], "no more at once than the engine was opened for");
  assertEquals(SEQUENCE_CLASSIFICATION.limits(CONFIG), {
    max_tokens: 32 * 8,
    max_sequences: 32,
    max_masked: 1,
    max_sequence_length: 8,
  });
  await assertRejects(() => train.take(engine, AbortSignal.abort(new Error("stopped"))), Error, "stopped");
});
