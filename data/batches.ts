/**
 * An endless, seeded stream of packed and masked batches over a shard: sampler → packing → collator. Its position is two
 * integers, and any position can be gone to at once.
 */

import type { MlmBatch } from "../config/mlm_batch.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import { Collator, type MaskingOptions, maxMasked } from "./collator.ts";
import { Permutation, STREAMS } from "./rng.ts";
import type { Sequences } from "./sequences.ts";

/** Batches are packed from so many batches' worth of shuffled sequences: the last one of a window may have room left. */
const WINDOW_BATCHES = 64;

/** What every batch stream needs to know. */
export interface BatchOptions {
  seed: number;
  /** Most tokens of a batch. */
  batch_tokens: number;
  max_sequence_length: number;
  mlm_probability: number;
}

/** The largest batch that can come: what an engine's buffers are planned for. */
export interface BatchLimits {
  max_tokens: number;
  max_sequences: number;
  max_masked: number;
  max_sequence_length: number;
}

/** Where a stream stands: the next batch is number `batch` of window `window`. */
export interface Position {
  window: number;
  batch: number;
}

/** The limits of batches made with these options. */
export function batchLimits(options: BatchOptions): BatchLimits {
  return {
    max_tokens: options.batch_tokens,
    max_sequences: Math.max(1, Math.floor(options.batch_tokens / 3)),
    max_masked: maxMasked(options.batch_tokens, options.mlm_probability),
    max_sequence_length: options.max_sequence_length,
  };
}

function masking(tokenizer: Tokenizer, options: BatchOptions, seed: number): MaskingOptions {
  return {
    seed,
    mlm_probability: options.mlm_probability,
    vocab_size: tokenizer.size,
    special: tokenizer.special,
    isSpecial: (id) => tokenizer.isSpecial(id),
  };
}

/** Training batches over shuffled epochs. */
export class MlmBatches {
  readonly #sequences: Sequences;
  readonly #options: BatchOptions;
  readonly #permutation: Permutation;
  /** Sequences of a window, and windows of an epoch. */
  readonly #perWindow: number;
  readonly #windows: number;
  /** Two, so that one is filled while the engine reads the other. */
  readonly #collators: Collator[];
  #turn = 0;
  #position: Position = { window: 0, batch: 0 };
  /** Packed batches of the window `#packedWindow`: positions in the epoch's order. */
  #packed: number[][] = [];
  #packedWindow = -1;

  constructor(sequences: Sequences, tokenizer: Tokenizer, options: BatchOptions) {
    this.#sequences = sequences;
    this.#options = options;
    this.#permutation = new Permutation(options.seed, sequences.count);
    const mean = sequences.tokens / Math.max(1, sequences.count);
    this.#perWindow = Math.max(1, Math.min(sequences.count, Math.ceil(WINDOW_BATCHES * options.batch_tokens / mean)));
    this.#windows = Math.ceil(sequences.count / this.#perWindow);
    const limits = batchLimits(options);
    this.#collators = [0, 1].map(() => new Collator(masking(tokenizer, options, options.seed), limits));
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
    const epoch = Math.floor(window / this.#windows);
    const { shard, starts, lengths } = this.#sequences;
    for (const i of this.#packed[batch]) {
      const ids = shard.buffer(lengths[i]);
      shard.read(starts[i], ids);
      collator.add(ids, epoch, i);
    }
    const last = batch + 1 === this.#packed.length;
    this.#position = last ? { window: window + 1, batch: 0 } : { window, batch: batch + 1 };
    return collator.batch();
  }

  /** Fills batches with a window's sequences, each into the fullest batch that still has room for it. */
  #pack(window: number): void {
    const epoch = Math.floor(window / this.#windows);
    const first = (window % this.#windows) * this.#perWindow;
    const last = Math.min(first + this.#perWindow, this.#sequences.count);
    const limit = this.#options.batch_tokens;
    const open: { ids: number[]; room: number }[] = [];
    const done: number[][] = [];
    for (let p = first; p < last; p++) {
      const i = this.#permutation.at(epoch, p);
      const length = this.#sequences.lengths[i] + 2;
      let best = -1;
      for (let b = 0; b < open.length; b++) {
        if (open[b].room >= length && (best < 0 || open[b].room < open[best].room)) best = b;
      }
      if (best < 0) {
        open.push({ ids: [], room: limit });
        best = open.length - 1;
      }
      open[best].ids.push(i);
      open[best].room -= length;
      // A batch that is all but full is closed, and so is the fullest of too many: the search stays short.
      if (open[best].room < 8) done.push(open.splice(best, 1)[0].ids);
      else if (open.length > 8) {
        const fullest = open.reduce((a, b, at) => (b.room < open[a].room ? at : a), 0);
        done.push(open.splice(fullest, 1)[0].ids);
      }
    }
    this.#packed = [...done, ...open.map((batch) => batch.ids)];
    this.#packedWindow = window;
  }
}

/** Held-out batches with masks that are always the same, up to about `max_tokens` tokens. */
export function fixedEvalBatches(
  sequences: Sequences,
  tokenizer: Tokenizer,
  options: Omit<BatchOptions, "seed">,
  max_tokens: number,
): MlmBatch[] {
  // The same masks and the same choice whatever the run's seed, so that runs can be compared.
  const seed = STREAMS.evaluation;
  const order = new Permutation(seed, sequences.count);
  const limits = batchLimits({ ...options, seed });
  const batches: MlmBatch[] = [];
  let collator: Collator | undefined;
  let room = 0, total = 0;
  for (let p = 0; p < sequences.count && total < max_tokens; p++) {
    const i = order.at(0, p);
    const length = sequences.lengths[i] + 2;
    if (collator === undefined || room < length) {
      if (collator !== undefined) batches.push(collator.batch());
      collator = new Collator(masking(tokenizer, { ...options, seed }, seed), limits);
      room = options.batch_tokens;
    }
    const ids = sequences.shard.buffer(sequences.lengths[i]);
    sequences.shard.read(sequences.starts[i], ids);
    collator.add(ids, 0, i);
    room -= length;
    total += length;
  }
  if (collator !== undefined) batches.push(collator.batch());
  return batches;
}
