/** Masked language modelling (Devlin et al., 2019, section 3.1, task 1): tokens are masked, and predicted from both sides. */

import { batchLimits, fixedEvalBatches, MlmBatches } from "../data/batches.ts";
import { headsOf } from "../model/model_heads.ts";
import type { PretrainingTask } from "./pretraining_task.ts";

const PAIRS_ONLY = "is for the pairs of --objective mlm+nsp";

/** `BertForMaskedLM`. */
export const MLM: PretrainingTask = {
  name: "mlm",
  heads: headsOf("mlm"),
  summary: "fills blanks",
  predictions: "blanks",
  masks: true,
  options: {},
  useless: { "short-seq-prob": PAIRS_ONLY },
  limits: batchLimits,
  trainingBatches: (shard, tokenizer, options) => new MlmBatches(shard, tokenizer, options),
  suits: () => true,
  heldOutBatches: fixedEvalBatches,
  // Special tokens are never masked.
  predictedCounts(shard, tokenizer) {
    const counts = Float64Array.from(shard.counts);
    for (const id of Object.values(tokenizer.special)) counts[id] = 0;
    return counts;
  },
  predicted: ({ labels }) => labels.length,
  sequenceWeight: () => 1,
  trained: ({ loss_sum, correct, masked }) => ({ loss: loss_sum / masked, accuracy: correct / masked }),
};
