/**
 * Masked language modelling and next-sentence prediction (Devlin et al., 2019, section 3.1, tasks 1 and 2): sequences are
 * pairs of segments, and the model also tells whether the second one follows the first.
 */

import type { Batch } from "../config/batch.ts";
import { makesPairs } from "../data/sequences.ts";
import { headsOf } from "../model/model_heads.ts";
import { MLM } from "./mlm.ts";
import type { PretrainingTask } from "./pretraining_task.ts";

/** `BertForPreTraining`. The loss is the mean over tokens plus the mean over pairs. */
export const MLM_NSP: PretrainingTask = {
  ...MLM,
  name: "mlm+nsp",
  heads: headsOf("mlm+nsp"),
  summary: "also tells whether two segments follow each other",
  options: { sequences: "pair" },
  useless: { "full-sentences": "is for runs without pairs, but --objective mlm+nsp makes pairs" },
  suits: makesPairs,
  // The engine divides by the tokens of the update, so that a pair has to count as many as there are for each pair.
  sequenceWeight: ({ predicted, sequences }) => sequences === 0 ? 1 : predicted / sequences,
  trained(sums) {
    const { sequence_loss_sum, sequences_correct, sequences } = sums;
    const pairs = { nsp_loss: sequence_loss_sum / sequences, nsp_accuracy: sequences_correct / sequences };
    return { ...MLM.trained(sums), ...(sequences === 0 ? {} : pairs) };
  },
};

/** What always giving the more frequent answer gets of the pairs right; `undefined` if there are no pairs. */
export function nspMajority(batches: readonly Batch[]): number | undefined {
  const labels = batches.flatMap(({ sequence_labels }) => [...sequence_labels]);
  if (labels.length === 0) return undefined;
  const ones = labels.reduce((sum, label) => sum + label, 0) / labels.length;
  return Math.max(ones, 1 - ones);
}
