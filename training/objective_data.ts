/**
 * What each pretraining objective is fed: a stream of training batches, and held-out batches that are always the same.
 * Used by the commands pretrain and evaluate.
 */

import type { MlmBatch } from "../config/mlm_batch.ts";
import type { PretrainingObjective } from "../config/model_heads.ts";
import {
  type BatchLimits,
  batchLimits,
  type BatchOptions,
  fixedEvalBatches,
  MlmBatches,
  Sequences,
  type Shard,
} from "../data/mod.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import { causalBatch, CausalBatches } from "./causal_batches.ts";
import type { BatchStream } from "./train.ts";

/** The largest batch of an objective: what an engine's buffers are planned for. */
export function objectiveLimits(objective: PretrainingObjective, options: BatchOptions): BatchLimits {
  const limits = batchLimits(options);
  return objective === "clm" ? { ...limits, max_masked: limits.max_tokens } : limits;
}

/** An objective's training batches. */
export function trainingBatches(
  objective: PretrainingObjective,
  shard: Shard,
  tokenizer: Tokenizer,
  options: BatchOptions,
): BatchStream {
  if (objective === "clm") return new CausalBatches(new MlmBatches(shard, tokenizer, unmasked(options)));
  return new MlmBatches(shard, tokenizer, options);
}

/** An objective's held-out batches, up to about `max_tokens` tokens. */
export function heldOutBatches(
  objective: PretrainingObjective,
  shard: Shard,
  tokenizer: Tokenizer,
  options: BatchOptions,
  max_tokens: number,
): MlmBatch[] {
  if (objective === "clm") {
    return fixedEvalBatches(shard, tokenizer, unmasked(options), max_tokens).map(causalBatch);
  }
  return fixedEvalBatches(shard, tokenizer, options, max_tokens);
}

/**
 * How often each token is to be predicted. Special tokens are never masked; a left-to-right model predicts whatever comes
 * next, the end of each sequence too.
 */
export function predictedCounts(
  objective: PretrainingObjective,
  shard: Shard,
  tokenizer: Tokenizer,
  options: BatchOptions,
): Float64Array {
  const counts = Float64Array.from(shard.counts);
  if (objective === "clm") {
    using sequences = new Sequences(shard, tokenizer, options);
    counts[tokenizer.special.sep] += sequences.count;
  } else for (const id of Object.values(tokenizer.special)) counts[id] = 0;
  return counts;
}

function unmasked(options: BatchOptions): BatchOptions {
  return { ...options, mlm_probability: 0 };
}
