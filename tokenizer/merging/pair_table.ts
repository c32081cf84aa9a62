/** Pairs of neighbouring pieces, numbered as they come, with their counts. Used by the vocabulary trainer. */

import { spread } from "../hash_slots.ts";
import { grown } from "../word_table.ts";

/** A hash table in typed arrays. */
export class PairTable {
  /** Two numbers a slot: the pair's hash, and its number plus one; 0 where the slot is free. */
  #slots = new Int32Array(1 << 13);
  /** 32 minus the binary logarithm of the number of slots. */
  #shift = 20;
  #size = 0;
  /** Two numbers a pair: its pieces. */
  #pieces = new Int32Array(1 << 11);
  /** How often each pair occurs in the text: whole numbers, exact up to 2^53. */
  counts = new Float64Array(1 << 10);
  /** The first place of each pair, or -1; kept by `PieceLists`. */
  heads = new Int32Array(1 << 10);

  /** Number of pairs. */
  get size(): number {
    return this.#size;
  }

  /** The pair's first piece. */
  left(pair: number): number {
    return this.#pieces[2 * pair];
  }

  /** The pair's second piece. */
  right(pair: number): number {
    return this.#pieces[2 * pair + 1];
  }

  /** The number of a pair; if it is new, it gets the next number, with no count and no place. */
  findOrAdd(left: number, right: number): number {
    const slots = this.#slots, pieces = this.#pieces;
    const last = slots.length - 2;
    const hash = hashOf(left, right);
    let slot = hash >>> this.#shift << 1;
    for (;; slot = (slot + 2) & last) {
      const pair = slots[slot + 1] - 1;
      if (pair < 0) return this.#add(slot, left, right, hash);
      if (slots[slot] === hash && pieces[2 * pair] === left && pieces[2 * pair + 1] === right) return pair;
    }
  }

  #add(slot: number, left: number, right: number, hash: number): number {
    const pair = this.#size++;
    if (2 * pair + 2 > this.#pieces.length) this.#pieces = grown(this.#pieces, 2 * pair + 2);
    if (pair >= this.counts.length) {
      this.counts = grown(this.counts, pair + 1);
      this.heads = grown(this.heads, pair + 1);
    }
    this.#slots[slot] = hash;
    this.#slots[slot + 1] = pair + 1;
    this.#pieces[2 * pair] = left;
    this.#pieces[2 * pair + 1] = right;
    this.heads[pair] = -1;
    if (4 * this.#size > this.#slots.length) this.#slots = spread(this.#slots, --this.#shift, 1);
    return pair;
  }
}

function hashOf(left: number, right: number): number {
  let hash = Math.imul(left, 0x9E3779B1) ^ Math.imul(right, 0x85EBCA6B);
  hash = Math.imul(hash ^ hash >>> 15, 0x2C1B3C6D);
  return hash ^ hash >>> 13;
}
