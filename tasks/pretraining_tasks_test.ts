import { assertEquals } from "@std/assert";
import type { Batch } from "../config/batch.ts";
import { headsOf } from "../model/model_heads.ts";
import { causalBatch } from "./clm.ts";
import { MLM } from "./mlm.ts";
import { MLM_NSP, nspMajority } from "./mlm_nsp.ts";
import { findTask, PRETRAINING_OBJECTIVES, pretrainingTask, taskFor } from "./registry.ts";

Deno.test("MLM_NSP.sequenceWeight makes a sum by tokens the mean over tokens plus the mean over pairs", () => {
  const amount = (predicted: number, sequences: number) => ({ tokens: 8 * predicted, predicted, sequences });
  assertEquals(MLM_NSP.sequenceWeight(amount(20, 4)), 5);
  assertEquals(MLM_NSP.sequenceWeight(amount(12, 0)), 1);
  assertEquals(MLM.sequenceWeight(amount(12, 3)), 1);
});

Deno.test("causalBatch predicts every next token inside its sequence", () => {
  const batch = {
    input_ids: Int32Array.of(2, 10, 11, 3, 2, 3),
    cu_seqlens: Int32Array.of(0, 4, 6),
    masked_positions: new Int32Array(0),
    labels: new Int32Array(0),
  } as unknown as Batch;
  const { masked_positions, labels, input_ids } = causalBatch(batch);
  assertEquals([...masked_positions], [0, 1, 2, 4]);
  assertEquals([...labels], [10, 11, 3, 3]);
  assertEquals(input_ids, batch.input_ids);
});

Deno.test("trained divides each head's sums by its own count, and says nothing of a head that had no labels", () => {
  const sums = { loss_sum: 30, masked: 12, correct: 3, sequence_loss_sum: 2, sequences: 4, sequences_correct: 3 };
  assertEquals(MLM.trained(sums), { loss: 2.5, accuracy: 0.25 });
  assertEquals(MLM_NSP.trained(sums), { loss: 2.5, accuracy: 0.25, nsp_loss: 0.5, nsp_accuracy: 0.75 });
  assertEquals(MLM_NSP.trained({ ...sums, sequences: 0 }), { loss: 2.5, accuracy: 0.25 });
});

Deno.test("nspMajority is what the commoner answer gets, and nothing without pairs", () => {
  const batch = (...sequence_labels: number[]) => ({ sequence_labels: Int32Array.from(sequence_labels) }) as Batch;
  assertEquals(nspMajority([batch(0, 1), batch(1, 1)]), 0.75);
  assertEquals(nspMajority([batch()]), undefined);
});

Deno.test("pretrainingTask gives the task of each objective; findTask knows no other", () => {
  assertEquals(PRETRAINING_OBJECTIVES, ["mlm", "mlm+nsp", "clm"]);
  for (const objective of PRETRAINING_OBJECTIVES) assertEquals(pretrainingTask(objective).name, objective);
  assertEquals(findTask("electra"), undefined);
});

Deno.test("taskFor gives the task whose models have these heads, and the default one where no token is predicted", () => {
  for (const objective of PRETRAINING_OBJECTIVES) {
    assertEquals(taskFor(pretrainingTask(objective).heads).name, objective);
  }
  for (const kind of ["none", "sequence_classification"] as const) assertEquals(taskFor(headsOf(kind)).name, "mlm");
});
