/** The training batches of a run as its record has it. Used by pretrain and by inspect. */

import type { PlannedRun, RunConfig } from "../config/run_config.ts";
import type { BatchLimits, Shard } from "../data/mod.ts";
import { pretrainingTask } from "../tasks/registry.ts";
import type { BatchStream } from "../tasks/task.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import { GrowingBatches } from "../training/growing_batches.ts";
import { mixedSizes, ReplayBatches } from "../training/replay_batches.ts";
import { batchOptions } from "./batch_options.ts";

/** What of a record they depend on. */
type Run = Pick<PlannedRun | RunConfig, "training" | "data">;

/** The training batches of a run, with other text mixed in where it has some. */
export function runBatches(
  { training, data }: Run,
  train: Shard,
  replay: Shard | undefined,
  tokenizer: Tokenizer,
): BatchStream {
  const options = batchOptions(training), task = pretrainingTask(training.objective);
  if (data.replay === undefined || replay === undefined) {
    const { warmup_sequence_length: length, warmup_sequence_ratio: ratio = 0 } = training;
    const batches = task.trainingBatches(train, tokenizer, options);
    if (length === undefined) return batches;
    const short = task.trainingBatches(train, tokenizer, { ...options, max_sequence_length: length });
    return new GrowingBatches(short, batches, ratio);
  }
  const { share } = data.replay;
  const sizes = mixedSizes(options.batch_tokens, options.max_sequence_length, share);
  const streamOf = (shard: Shard, batch_tokens: number) =>
    task.trainingBatches(shard, tokenizer, { ...options, batch_tokens });
  const text = streamOf(train, sizes.text);
  try {
    return new ReplayBatches(text, streamOf(replay, sizes.replay), share);
  } catch (error) {
    text[Symbol.dispose]();
    throw error;
  }
}

/** The largest of these batches. */
export function runLimits({ training, data }: Run): BatchLimits {
  const options = batchOptions(training), task = pretrainingTask(training.objective);
  const { replay } = data;
  if (replay === undefined) return task.limits(options);
  const { most } = mixedSizes(options.batch_tokens, options.max_sequence_length, replay.share);
  return task.limits({ ...options, batch_tokens: most });
}
