/**
 * An endless, seeded stream of batches over a shard: sampler → packing → collator. Its position is two integers, and any
 * position can be gone to at once. The order is explained in docs/shards.md. Used by the training loop and by `inspect`.
 */

import type { MaskingConfig, SamplingConfig } from "../config/batch_config.ts";
import { ClozeError } from "../config/cloze_error.ts";
import type { Batch } from "../config/batch.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import { type BatchLimits, Collator, tokenKinds } from "./collator.ts";
import { maxMasked } from "./masking.ts";
import { bucketed, packed } from "./packing.ts";
import { Permutation, Random, STREAMS } from "./rng.ts";
import { Sequences, type TrainingSequence } from "./sequences.ts";
import type { Shard } from "./shard.ts";

/** A window has about so many batches, made of runs from all over the shard. Its last batch may have room left. */
const WINDOW_BATCHES = 128;

/** What every batch stream needs to know. */
export interface BatchOptions extends SamplingConfig, MaskingConfig {
  /** Of shuffling and masks. */
  seed: number;
  /** Most tokens of a batch. */
  batch_tokens: number;
}

/** Where a stream stands: the next batch is number `batch` of window `window`. */
export interface Position {
  /** Number of the window since the stream began. */
  window: number;
  /** Number of the batch in it. */
  batch: number;
  /** Where other text stands that is mixed in, and how many of its tokens are due (below 0: were taken ahead). */
  replay?: { window: number; batch: number; owed: number };
  /** Where the stream of short sequences stands that a run begins with, if it does. */
  short?: { window: number; batch: number };
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
  /** Runs of an epoch and of a window, and windows of an epoch. */
  readonly #runs: number;
  readonly #perWindow: number;
  readonly #windows: number;
  /** Two, so that one is filled while the engine reads the other. */
  readonly #collators: Collator[];
  #turn = 0;
  #position: Position = { window: 0, batch: 0 };
  #window: Window | undefined;
  /** The one after it, of which a part is made with each batch, so that no batch has to wait for a whole window. */
  #ahead: Window | undefined;

  /** Batches of a shard; it stays open as long as they are read. */
  constructor(shard: Shard, tokenizer: Tokenizer, options: BatchOptions) {
    this.#sequences = new Sequences(shard, tokenizer, options);
    this.#options = options;
    const { count, tokens, run } = this.#sequences;
    this.#runs = Math.ceil(count / run);
    this.#permutation = new Permutation(options.seed, this.#runs);
    this.#order = new Random(options.seed, STREAMS.batches);
    const windows = Math.max(1, Math.ceil(tokens / (WINDOW_BATCHES * options.batch_tokens)));
    this.#perWindow = Math.max(1, Math.ceil(this.#runs / windows));
    this.#windows = Math.max(1, Math.ceil(this.#runs / this.#perWindow));
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

  set position({ window, batch }: Position) {
    this.#position = { window, batch };
  }

  /** Epochs done, with the fraction of the one in progress. */
  get epoch(): number {
    const { window, batch } = this.#position;
    const share = batch === 0 ? 0 : batch / this.#enter(window).batches().length;
    return (window + share) / this.#windows;
  }

  /**
   * The next batch. Its arrays are used again by the batch after the next one.
   *
   * @param done share of the run that is done, 0 to 1: a share of masks that changes follows it.
   */
  next(done = 0): Batch {
    const { sequences, contentEpoch } = this.#pass();
    const collator = this.#collators[this.#turn ^= 1];
    collator.clear(done);
    for (const sequence of sequences) collator.add(sequence, contentEpoch);
    return collator.batch();
  }

  /** Passes over the next batch: its masks, which are most of the work, are not made. Returns the tokens that it has. */
  skip(): number {
    return this.#pass().sequences.reduce((sum, { ids }) => sum + ids.length, 0);
  }

  /** The sequences of the next batch, and the epoch that decides their masks. */
  #pass(): { sequences: TrainingSequence[]; contentEpoch: number } {
    const { window: number, batch } = this.#position;
    const window = this.#enter(number);
    const batches = window.batches();
    if (batch >= batches.length) {
      throw new ClozeError("input", `window ${number} of the text has ${batches.length} batches, not ${batch + 1}`, {
        hint: "the run's training_state.json or its shards belong to another run",
      });
    }
    this.#ahead!.advance(Math.ceil(2 * this.#perWindow / batches.length));
    const last = batch + 1 === batches.length;
    this.#position = last ? { window: number + 1, batch: 0 } : { window: number, batch: batch + 1 };
    return { sequences: batches[batch].map((i) => window.sequences[i]), contentEpoch: window.contentEpoch };
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
    const last = Math.min(first + this.#perWindow, this.#runs);
    const contentEpoch = this.#options.static_masking ? 0 : epoch;
    const { run, count } = this.#sequences;
    const add = (place: number, sequences: TrainingSequence[]) => {
      const from = this.#permutation.at(epoch, place) * run;
      this.#sequences.read(contentEpoch, from, Math.min(from + run, count), sequences);
    };
    const pack = (sequences: TrainingSequence[]) => {
      const make = this.#options.batching === "packed" ? packed : bucketed;
      return make(sequences.map(({ ids }) => ids.length), this.#options.batch_tokens, this.#order.at(0, number));
    };
    return new Window(number, contentEpoch, { first, last, add, pack });
  }

  /** Closes what it has open. */
  [Symbol.dispose](): void {
    this.#sequences[Symbol.dispose]();
  }
}

/** What a window is made of. */
interface WindowContent {
  /** Places of its runs in the epoch's order. */
  first: number;
  last: number;
  add: (place: number, sequences: TrainingSequence[]) => void;
  pack: (sequences: TrainingSequence[]) => number[][];
}

/** Some shuffled runs of sequences, and the batches that are made of them. */
class Window {
  readonly number: number;
  /** The epoch that decides masks and pairs. */
  readonly contentEpoch: number;
  readonly sequences: TrainingSequence[] = [];
  readonly #how: WindowContent;
  #next: number;
  #batches: number[][] | undefined;

  constructor(number: number, contentEpoch: number, how: WindowContent) {
    this.number = number;
    this.contentEpoch = contentEpoch;
    this.#how = how;
    this.#next = how.first;
  }

  /** Reads so many further runs; packs when it has all. */
  advance(runs: number): void {
    const { last, add, pack } = this.#how;
    for (const to = Math.min(last, this.#next + runs); this.#next < to;) add(this.#next++, this.sequences);
    if (this.#next === last) this.#batches ??= pack(this.sequences);
  }

  /** Indices into `sequences` of each batch. */
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
): Batch[] {
  // The same masks and the same choice whatever the run's seed, so that runs can be compared.
  const seed = STREAMS.evaluation;
  using sequences = new Sequences(shard, tokenizer, { ...options, seed });
  const order = new Permutation(seed, sequences.count);
  const limits = batchLimits({ ...options, seed });
  const kinds = tokenKinds(tokenizer);
  const batches: Batch[] = [];
  let collator: Collator | undefined;
  let room = 0, total = 0;
  for (let p = 0; p < sequences.count && total < max_tokens; p++) {
    const read: TrainingSequence[] = [];
    const i = order.at(0, p);
    sequences.read(0, i, i + 1, read);
    for (const sequence of read) {
      const { length } = sequence.ids;
      if (collator === undefined || room < length) {
        if (collator !== undefined) batches.push(collator.batch());
        collator = new Collator(seed, options, kinds, limits);
        room = options.batch_tokens;
      }
      collator.add(sequence, 0);
      room -= length;
      total += length;
      if (total >= max_tokens) break;
    }
  }
  if (collator !== undefined) batches.push(collator.batch());
  return batches;
}
