/**
 * What each pretraining objective is fed: a stream of training batches, and held-out batches that are always the same.
 * Used by the commands pretrain and evaluate.
 */

import type { MaskingConfig, SamplingConfig } from "../config/batch_config.ts";
import type { Batch } from "../config/batch.ts";
import type { PretrainingObjective } from "../config/objective.ts";
import {
  type BatchLimits,
  batchLimits,
  type BatchOptions,
  fixedEvalBatches,
  MlmBatches,
  type Shard,
} from "../data/mod.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import { causalBatch, CausalBatches } from "./causal_batches.ts";
import type { BatchStream } from "./train.ts";

/** What an objective asks of masking and sampling. */
export function objectiveOptions(objective: PretrainingObjective): Partial<MaskingConfig & SamplingConfig> {
  return { "mlm": {}, "mlm+nsp": { sequences: "pair" as const }, "clm": { mlm_probability: 0 } }[objective];
}

/** The largest batch of an objective: what an engine's buffers are planned for. */
export function objectiveLimits(objective: PretrainingObjective, options: BatchOptions): BatchLimits {
  const limits = batchLimits(options);
  return objective === "clm" ? { ...limits, max_masked: limits.max_tokens } : limits;
}

/** An objective's training batches, by options that are as {@linkcode objectiveOptions} has them. */
export function trainingBatches(
  objective: PretrainingObjective,
  shard: Shard,
  tokenizer: Tokenizer,
  options: BatchOptions,
): BatchStream {
  const batches = new MlmBatches(shard, tokenizer, options);
  return objective === "clm" ? new CausalBatches(batches) : batches;
}

/** An objective's held-out batches, up to about `max_tokens` tokens. */
export function heldOutBatches(
  objective: PretrainingObjective,
  shard: Shard,
  tokenizer: Tokenizer,
  options: BatchOptions,
  max_tokens: number,
): Batch[] {
  const batches = fixedEvalBatches(shard, tokenizer, options, max_tokens);
  return objective === "clm" ? batches.map(causalBatch) : batches;
}

/**
 * How often each token is to be predicted. Special tokens are never masked; a left-to-right model predicts whatever comes
 * next, and `[SEP]`, which no text holds, as often as in its batches.
 */
export function predictedCounts(
  objective: PretrainingObjective,
  shard: Shard,
  tokenizer: Tokenizer,
  batches: readonly Batch[],
): Float64Array {
  const counts = Float64Array.from(shard.counts);
  const { sep } = tokenizer.special;
  if (objective !== "clm") {
    for (const id of Object.values(tokenizer.special)) counts[id] = 0;
    return counts;
  }
  let ends = 0, others = 0;
  for (const { labels } of batches) {
    for (const label of labels) label === sep ? ends++ : others++;
  }
  counts[sep] = Math.round(shard.header.tokens * ends / Math.max(1, others));
  return counts;
}
