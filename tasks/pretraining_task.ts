/** What a task of pretraining is: one whose batches are made of raw text, and that predicts tokens of it. */

import type { Batch } from "../config/batch.ts";
import type { MaskingConfig, SamplingConfig } from "../config/batch_config.ts";
import type { BatchOptions } from "../data/batches.ts";
import type { BatchLimits } from "../data/collator.ts";
import type { Shard } from "../data/shard.ts";
import type { ModelHeads } from "../model/model_heads.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import type { BatchStream, Task } from "./task.ts";

/** A task of pretraining. */
export interface PretrainingTask extends Task {
  /** For `--objective` and `run.json`. */
  readonly name: string;
  /** What its models have on their encoder, and so the class that they are saved as. */
  readonly heads: ModelHeads;
  /** What it does: `--help` says `mlm fills blanks`. */
  readonly summary: string;
  /** What is predicted, in words: `29% of the held-out blanks right`. */
  readonly predictions: string;
  /** Whether tokens are masked, so that its models fill blanks. */
  readonly masks: boolean;
  /** What it needs of masking and sampling; batches are made with these options. */
  readonly options: Partial<MaskingConfig & SamplingConfig>;
  /** Flags that it has no use for, each with the end of the sentence that refuses it. */
  readonly useless: Readonly<Record<string, string>>;
  /** The largest batch: what an engine's buffers are planned for. */
  limits(options: BatchOptions): BatchLimits;
  trainingBatches(shard: Shard, tokenizer: Tokenizer, options: BatchOptions): BatchStream;
  /** Whether a text has what its batches are made of. */
  suits(shard: Shard): boolean;
  /**
   * Batches to measure on, up to about `max_tokens` tokens: the same for a text whatever the run's seed.
   *
   * @throws {ClozeError} `input` if the text does not suit it.
   */
  heldOutBatches(shard: Shard, tokenizer: Tokenizer, options: BatchOptions, max_tokens: number): Batch[];
  /** How often each token is to be predicted: what guessing by frequency knows. `batches` are held-out ones. */
  predictedCounts(shard: Shard, tokenizer: Tokenizer, batches: readonly Batch[]): Float64Array;
}
