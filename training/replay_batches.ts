/**
 * Training batches into which other text is mixed, so that a model that goes on does not lose what it knew (experience
 * replay). A stream over two streams; its position says where both stand. Called by the pretrain command.
 */

import type { Batch } from "../config/batch.ts";
import type { Position } from "../data/mod.ts";
import type { BatchStream } from "../tasks/task.ts";

/** How large the batches of both streams may be, so that the mixed ones have about `batch_tokens`. */
export function mixedSizes(batch_tokens: number, max_sequence_length: number, share: number) {
  const text = Math.max(max_sequence_length, Math.round(batch_tokens * (1 - share)));
  return {
    text,
    // The smallest that holds every sequence: the share is met to within one of these.
    replay: max_sequence_length,
    /** Most tokens of a mixed batch. */
    most: Math.max(batch_tokens, text + Math.ceil(text * share / (1 - share)) + max_sequence_length),
  };
}

/**
 * Every batch is one of the text's, followed by as many of the other's as are due: of all tokens so far the other text has
 * `share`, to within one of its batches. Its epochs are the text's.
 */
export class ReplayBatches implements BatchStream {
  readonly #text: BatchStream;
  readonly #other: BatchStream;
  readonly #ratio: number;
  #owed = 0;

  /** @param share above 0 and below 1. */
  constructor(text: BatchStream, other: BatchStream, share: number) {
    this.#text = text;
    this.#other = other;
    this.#ratio = share / (1 - share);
  }

  get position(): Position {
    return { ...this.#text.position, replay: { ...this.#other.position, owed: this.#owed } };
  }

  set position({ window, batch, replay }: Position) {
    this.#text.position = { window, batch };
    this.#other.position = { window: replay?.window ?? 0, batch: replay?.batch ?? 0 };
    this.#owed = replay?.owed ?? 0;
  }

  get epoch(): number {
    return this.#text.epoch;
  }

  /** The next batch, in arrays of its own. */
  next(done?: number): Batch {
    const first = this.#text.next(done);
    let mixed = first;
    this.#owed += this.#ratio * first.input_ids.length;
    while (this.#owed > 0) {
      const other = this.#other.next(done);
      this.#owed -= other.input_ids.length;
      mixed = joined(mixed, other);
    }
    return mixed;
  }

  skip(done?: number): number {
    let tokens = this.#text.skip(done);
    this.#owed += this.#ratio * tokens;
    while (this.#owed > 0) {
      const other = this.#other.skip(done);
      this.#owed -= other;
      tokens += other;
    }
    return tokens;
  }

  [Symbol.dispose](): void {
    this.#text[Symbol.dispose]();
    this.#other[Symbol.dispose]();
  }
}

/** One batch with the sequences of both. */
function joined(a: Batch, b: Batch): Batch {
  const tokens = a.input_ids.length;
  const shifted = (places: Int32Array) => places.map((place) => place + tokens);
  return {
    input_ids: both(a.input_ids, b.input_ids),
    token_type_ids: both(a.token_type_ids, b.token_type_ids),
    position_ids: both(a.position_ids, b.position_ids),
    cu_seqlens: both(a.cu_seqlens, shifted(b.cu_seqlens.subarray(1))),
    masked_positions: both(a.masked_positions, shifted(b.masked_positions)),
    labels: both(a.labels, b.labels),
    sequence_labels: both(a.sequence_labels, b.sequence_labels),
  };
}

function both(a: Int32Array, b: Int32Array): Int32Array {
  const all = new Int32Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}
