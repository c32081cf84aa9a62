/**
 * An endless, seeded stream of batches over a shard: sampler → packing → collator. Its position is two integers, and any
 * position can be gone to at once. Used by the training loop and by `inspect`.
 */

import type { MaskingConfig, SamplingConfig } from "../config/batch_config.ts";
import type { MlmBatch } from "../config/mlm_batch.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import { type BatchLimits, Collator, tokenKinds } from "./collator.ts";
import { maxMasked } from "./masking.ts";
import { bucketed, packed } from "./packing.ts";
import { Permutation, Random, STREAMS } from "./rng.ts";
import { type SequenceRef, Sequences } from "./sequences.ts";
import type { Shard } from "./shards.ts";

/** Batches are packed from so many batches' worth of shuffled sequences: the last one of a window may have room left. */
const WINDOW_BATCHES = 128;

/** What every batch stream needs to know. */
export interface BatchOptions extends SamplingConfig, MaskingConfig {
  seed: number;
  /** Most tokens of a batch. */
  batch_tokens: number;
}

/** Where a stream stands: the next batch is number `batch` of window `window`. */
export interface Position {
  window: number;
  batch: number;
}

/** The limits of batches made with these options. */
export function batchLimits(options: BatchOptions): BatchLimits {
  const { batch_tokens, max_sequence_length } = options;
  return {
    max_tokens: batch_tokens,
    max_sequences: Math.max(1, Math.floor(batch_tokens / 3)),
    max_masked: maxMasked(options, batch_tokens, max_sequence_length),
    max_sequence_length,
  };
}

/** Training batches over shuffled epochs. */
export class MlmBatches implements Disposable {
  readonly #sequences: Sequences;
  readonly #options: BatchOptions;
  readonly #permutation: Permutation;
  readonly #order: Random;
  /** Sequences of a window, and windows of an epoch. */
  readonly #perWindow: number;
  readonly #windows: number;
  /** Two, so that one is filled while the engine reads the other. */
  readonly #collators: Collator[];
  #turn = 0;
  #position: Position = { window: 0, batch: 0 };
  /** The window `#packedWindow`: its sequences, and which of them make up each batch. */
  #refs: SequenceRef[] = [];
  #packed: number[][] = [];
  #packedWindow = -1;

  constructor(shard: Shard, tokenizer: Tokenizer, options: BatchOptions) {
    this.#sequences = new Sequences(shard, tokenizer, options);
    this.#options = options;
    const { count, tokens } = this.#sequences;
    this.#permutation = new Permutation(options.seed, count);
    this.#order = new Random(options.seed, STREAMS.batches);
    const mean = tokens / Math.max(1, count);
    this.#perWindow = Math.max(1, Math.min(count, Math.ceil(WINDOW_BATCHES * options.batch_tokens / mean)));
    this.#windows = Math.max(1, Math.ceil(count / this.#perWindow));
    const kinds = tokenKinds(tokenizer), limits = batchLimits(options);
    this.#collators = [0, 1].map(() => new Collator(options.seed, options, kinds, limits));
  }

  /** Sequences, or sections of documents that pairs are made of, in an epoch. */
  get count(): number {
    return this.#sequences.count;
  }

  /** Where the next batch is. */
  get position(): Position {
    return { ...this.#position };
  }

  set position(position: Position) {
    this.#position = { ...position };
  }

  /** Epochs done, with the fraction of the one in progress. */
  get epoch(): number {
    const { window, batch } = this.#position;
    const packed = this.#packedWindow === window ? this.#packed.length : WINDOW_BATCHES;
    return (window + Math.min(1, batch / packed)) / this.#windows;
  }

  /** The next batch. Its arrays are used again by the batch after the next one. */
  next(): MlmBatch {
    const { window, batch } = this.#position;
    if (this.#packedWindow !== window) this.#pack(window);
    const collator = this.#collators[this.#turn ^= 1];
    collator.clear();
    const epoch = this.#contentEpoch(window);
    for (const i of this.#packed[batch]) {
      const ref = this.#refs[i];
      collator.add(this.#sequences.read(ref), epoch, ref.index);
    }
    const last = batch + 1 === this.#packed.length;
    this.#position = last ? { window: window + 1, batch: 0 } : { window, batch: batch + 1 };
    return collator.batch();
  }

  /** The epoch that decides masks and pairs. */
  #contentEpoch(window: number): number {
    return this.#options.static_masking ? 0 : Math.floor(window / this.#windows);
  }

  /** Makes batches of a window's sequences. */
  #pack(window: number): void {
    const epoch = Math.floor(window / this.#windows);
    const first = (window % this.#windows) * this.#perWindow;
    const last = Math.min(first + this.#perWindow, this.#sequences.count);
    const refs: SequenceRef[] = [];
    for (let p = first; p < last; p++) {
      this.#sequences.refs(this.#contentEpoch(window), this.#permutation.at(epoch, p), refs);
    }
    const lengths = refs.map(({ length }) => length);
    const pack = this.#options.batching === "packed" ? packed : bucketed;
    this.#refs = refs;
    this.#packed = pack(lengths, this.#options.batch_tokens, this.#order.at(0, window));
    this.#packedWindow = window;
  }

  [Symbol.dispose](): void {
    this.#sequences[Symbol.dispose]();
  }
}

/** Held-out batches with masks that are always the same, up to about `max_tokens` tokens. */
export function fixedEvalBatches(
  shard: Shard,
  tokenizer: Tokenizer,
  options: Omit<BatchOptions, "seed">,
  max_tokens: number,
): MlmBatch[] {
  // The same masks and the same choice whatever the run's seed, so that runs can be compared.
  const seed = STREAMS.evaluation;
  using sequences = new Sequences(shard, tokenizer, { ...options, seed });
  const order = new Permutation(seed, sequences.count);
  const limits = batchLimits({ ...options, seed });
  const kinds = tokenKinds(tokenizer);
  const batches: MlmBatch[] = [];
  let collator: Collator | undefined;
  let room = 0, total = 0;
  for (let p = 0; p < sequences.count && total < max_tokens; p++) {
    const refs: SequenceRef[] = [];
    sequences.refs(0, order.at(0, p), refs);
    for (const ref of refs) {
      if (collator === undefined || room < ref.length) {
        if (collator !== undefined) batches.push(collator.batch());
        collator = new Collator(seed, options, kinds, limits);
        room = options.batch_tokens;
      }
      collator.add(sequences.read(ref), 0, ref.index);
      room -= ref.length;
      total += ref.length;
      if (total >= max_tokens) break;
    }
  }
  if (collator !== undefined) batches.push(collator.batch());
  return batches;
}
