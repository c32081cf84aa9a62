import { assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import type { Batch } from "../config/batch.ts";
import { FINETUNE_DEFAULTS } from "../config/run_config.ts";
import { TOKEN_CLASSIFICATION } from "./token_classification.ts";

const LABELS = ["O", "B-X", "I-X"];
/** The first sentence is two sequences; its entity goes over the cut. Ids say the classes that are answered. */
const sequences = [
  { ids: Int32Array.of(9, 0, 1, 9), positions: [1, 2], labels: [0, 1], sentence: 0 },
  { ids: Int32Array.of(9, 2, 8, 0, 9), positions: [1, 3], labels: [2, 0], sentence: 0 },
  { ids: Int32Array.of(9, 1, 9), positions: [1], labels: [0], sentence: 1 },
];
const engine = {
  evaluate: () => Promise.reject(new Error("not asked")),
  sequenceLogits: () => Promise.reject(new Error("not asked")),
  logits: ({ input_ids, masked_positions }: Batch) => {
    const logits = new Float32Array(masked_positions.length * LABELS.length);
    masked_positions.forEach((at, row) => logits[row * LABELS.length + input_ids[at]] = 1);
    return Promise.resolve(logits);
  },
};

Deno.test("TOKEN_CLASSIFICATION measures words, and entities over the parts of a sentence", async () => {
  const { signal } = new AbortController();
  const result = await TOKEN_CLASSIFICATION.evaluate(engine, sequences, LABELS, signal);
  assertEquals([result.count, result.accuracy, result.majority], [5, 0.8, 0.6]);
  assertEquals(result.confusion, [[2, 1, 0], [0, 1, 0], [0, 0, 1]]);
  assertEquals(result.entities, { precision: 0.5, recall: 1, f1: 2 / 3, count: 1 });
  assertAlmostEquals(result.loss, 0.8 * Math.log(1 + 2 / Math.E) + 0.2 * Math.log(2 + Math.E), 1e-6);
  const others = await TOKEN_CLASSIFICATION.evaluate(engine, sequences, ["NOUN", "VERB", "X"], signal);
  assertEquals(others.entities, undefined);
  const stopped = AbortSignal.abort(new Error("stopped"));
  await assertRejects(() => TOKEN_CLASSIFICATION.evaluate(engine, sequences, LABELS, stopped), Error, "stopped");
});

Deno.test("TOKEN_CLASSIFICATION asks for first pieces only, and its loss is a mean over words", () => {
  const batch = TOKEN_CLASSIFICATION.pack(sequences);
  assertEquals([...batch.masked_positions], [1, 2, 5, 7, 10]);
  assertEquals([...batch.labels], [0, 1, 2, 0, 0]);
  assertEquals([TOKEN_CLASSIFICATION.predicted(batch), batch.sequence_labels.length], [5, 0]);
  const none = { sequence_loss_sum: 0, sequences: 0, sequences_correct: 0 };
  assertEquals(TOKEN_CLASSIFICATION.trained({ ...none, loss_sum: 6, masked: 4, correct: 1 }), {
    loss: 1.5,
    accuracy: 0.25,
  });
  const config = {
    ...FINETUNE_DEFAULTS,
    learning_rate: 1,
    seed: 1,
    batch_size: 40,
    max_sequence_length: 8,
    probe: false,
  };
  const limits = { max_tokens: 320, max_sequences: 40, max_sequence_length: 8, max_masked: 320 };
  assertEquals(TOKEN_CLASSIFICATION.limits(config), limits);
});
