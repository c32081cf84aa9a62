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
import type { Shard } from "./shard.ts";

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
  #window: Window | undefined;
  /** The one after it, of which a part is made with each batch, so that no batch has to wait for a whole window. */
  #ahead: Window | undefined;

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
    const share = batch === 0 ? 0 : batch / this.#enter(window).batches().length;
    return (window + share) / this.#windows;
  }

  /** The next batch. Its arrays are used again by the batch after the next one. */
  next(): MlmBatch {
    const { window: number, batch } = this.#position;
    const window = this.#enter(number);
    const { refs, contentEpoch } = window;
    const batches = window.batches();
    if (batch >= batches.length) throw new Error(`window ${number} has ${batches.length} batches, not ${batch + 1}`);
    const collator = this.#collators[this.#turn ^= 1];
    collator.clear();
    for (const i of batches[batch]) collator.add(this.#sequences.read(refs[i]), contentEpoch, refs[i].index);
    this.#ahead!.advance(Math.ceil(2 * this.#perWindow / batches.length));
    const last = batch + 1 === batches.length;
    this.#position = last ? { window: number + 1, batch: 0 } : { window: number, batch: batch + 1 };
    return collator.batch();
  }

  #enter(number: number): Window {
    if (this.#window?.number !== number) {
      this.#window = this.#ahead?.number === number ? this.#ahead : this.#open(number);
      this.#ahead = this.#open(number + 1);
    }
    return this.#window;
  }

  #open(number: number): Window {
    const epoch = Math.floor(number / this.#windows);
    const first = (number % this.#windows) * this.#perWindow;
    const last = Math.min(first + this.#perWindow, this.#sequences.count);
    const contentEpoch = this.#options.static_masking ? 0 : epoch;
    const order = this.#permutation;
    const add = (place: number, refs: SequenceRef[]) =>
      this.#sequences.refs(contentEpoch, order.at(epoch, place), refs);
    const pack = (refs: SequenceRef[]) => {
      const make = this.#options.batching === "packed" ? packed : bucketed;
      return make(refs.map(({ length }) => length), this.#options.batch_tokens, this.#order.at(0, number));
    };
    return new Window(number, contentEpoch, { first, last, add, pack });
  }

  [Symbol.dispose](): void {
    this.#sequences[Symbol.dispose]();
  }
}

/** What a window is made of. */
interface WindowContent {
  /** Places in the epoch's order. */
  first: number;
  last: number;
  add: (place: number, refs: SequenceRef[]) => void;
  pack: (refs: SequenceRef[]) => number[][];
}

/** Some shuffled sequences, and the batches that are made of them. */
class Window {
  readonly number: number;
  /** The epoch that decides masks and pairs. */
  readonly contentEpoch: number;
  readonly refs: SequenceRef[] = [];
  readonly #how: WindowContent;
  #next: number;
  #batches: number[][] | undefined;

  constructor(number: number, contentEpoch: number, how: WindowContent) {
    this.number = number;
    this.contentEpoch = contentEpoch;
    this.#how = how;
    this.#next = how.first;
  }

  /** Looks up so many further sequences; packs when it has all. */
  advance(count: number): void {
    const { last, add, pack } = this.#how;
    for (const to = Math.min(last, this.#next + count); this.#next < to;) add(this.#next++, this.refs);
    if (this.#next === last) this.#batches ??= pack(this.refs);
  }

  /** Indices into `refs` of each batch. */
  batches(): number[][] {
    this.advance(Infinity);
    return this.#batches!;
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
