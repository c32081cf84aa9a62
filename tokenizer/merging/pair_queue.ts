/**
 * Pairs by count, the more frequent first, where equal the pair with the smaller pieces: the order in which Hugging Face's
 * trainer merges. Used by the vocabulary trainer.
 */

import type { PairTable } from "./pair_table.ts";
import { grown } from "../word_table.ts";

/**
 * A binary heap. Counts may fall while a pair waits: it is put back with its new count when its turn comes. Where a count
 * has risen, the pair has to be pushed again.
 */
export class PairQueue {
  readonly #table: PairTable;
  #pairs = new Int32Array(1 << 10);
  #counts = new Float64Array(1 << 10);
  #size = 0;
  /** The count under which each pair waits; entries with another one are out of date. */
  #waiting = new Float64Array(1 << 10);

  constructor(table: PairTable) {
    this.#table = table;
  }

  /** Lets a pair wait under its present count, unless it does so already under this or a higher one. */
  push(pair: number): void {
    if (pair >= this.#waiting.length) this.#waiting = grown(this.#waiting, this.#table.size);
    const count = this.#table.counts[pair];
    if (count <= this.#waiting[pair]) return;
    this.#waiting[pair] = count;
    if (this.#size === this.#pairs.length) {
      this.#pairs = grown(this.#pairs, this.#size + 1);
      this.#counts = grown(this.#counts, this.#size + 1);
    }
    this.#up(this.#size++, pair, count);
  }

  /** Takes the first pair out; -1 if there is none with a count of at least `least`. */
  pop(least: number): number {
    while (this.#size > 0) {
      const pair = this.#pairs[0], count = this.#counts[0];
      if (count < least) return -1;
      const now = this.#table.counts[pair];
      const last = --this.#size;
      if (count === this.#waiting[pair]) {
        this.#waiting[pair] = 0;
        if (now === count) {
          this.#down(this.#pairs[last], this.#counts[last]);
          return pair;
        }
        if (now >= least) {
          this.#size++;
          this.#waiting[pair] = now;
          this.#down(pair, now);
          continue;
        }
      }
      this.#down(this.#pairs[last], this.#counts[last]);
    }
    return -1;
  }

  #up(i: number, pair: number, count: number): void {
    const pairs = this.#pairs, counts = this.#counts;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!this.#isBefore(pair, count, pairs[parent], counts[parent])) break;
      pairs[i] = pairs[parent];
      counts[i] = counts[parent];
      i = parent;
    }
    pairs[i] = pair;
    counts[i] = count;
  }

  /** Puts an entry in the first place, and from there to where it belongs. */
  #down(pair: number, count: number): void {
    const pairs = this.#pairs, counts = this.#counts, size = this.#size;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= size) break;
      if (child + 1 < size && this.#isBefore(pairs[child + 1], counts[child + 1], pairs[child], counts[child])) child++;
      if (!this.#isBefore(pairs[child], counts[child], pair, count)) break;
      pairs[i] = pairs[child];
      counts[i] = counts[child];
      i = child;
    }
    pairs[i] = pair;
    counts[i] = count;
  }

  #isBefore(a: number, aCount: number, b: number, bCount: number): boolean {
    if (aCount !== bCount) return aCount > bCount;
    const table = this.#table;
    return table.left(a) < table.left(b) || (table.left(a) === table.left(b) && table.right(a) < table.right(b));
  }
}
