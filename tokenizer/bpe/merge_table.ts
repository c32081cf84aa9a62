/** Pairs of ids that merge, with their ranks: a hash table in typed arrays. Used by `bpe.ts`. */

/** The rank of a pair that does not merge. */
export const NEVER = 0x7FFFFFFF;
/** Binary logarithm of the filter's bits for each slot. */
const FILTER_BITS = 3;

/** The merges of a vocabulary. */
export class MergeTable {
  /** Three numbers a merge, by rank: the pair, and what it becomes. Frequent merges are beside each other. */
  readonly #merges: Int32Array;
  /** The rank plus one, 0 where the slot is free. */
  readonly #slots: Int32Array;
  readonly #shift: number;
  /** A bit for each hash of a pair that merges: what rules most others out, in memory that stays in the cache. */
  readonly #mayMerge: Int32Array;

  /** @param merges three numbers each: both ids and what they become, the first merge first. Of equal pairs the last counts. */
  constructor(merges: Int32Array) {
    const pairs = merges.length / 3;
    const bits = Math.max(4, Math.ceil(Math.log2(2 * pairs + 1)));
    this.#merges = merges;
    this.#slots = new Int32Array(1 << bits);
    this.#shift = 32 - bits;
    this.#mayMerge = new Int32Array(1 << bits + FILTER_BITS - 5);
    for (let rank = 0; rank < pairs; rank++) this.#set(rank);
  }

  #set(rank: number): void {
    const merges = this.#merges, slots = this.#slots, last = slots.length - 1;
    const left = merges[3 * rank], right = merges[3 * rank + 1];
    const hash = hashOf(left, right), bit = hash >>> this.#shift - FILTER_BITS;
    this.#mayMerge[bit >>> 5] |= 1 << bit;
    let slot = hash >>> this.#shift;
    for (; slots[slot] !== 0; slot = (slot + 1) & last) {
      const other = 3 * (slots[slot] - 1);
      if (merges[other] === left && merges[other + 1] === right) break;
    }
    slots[slot] = rank + 1;
  }

  /** The rank of a pair, or {@linkcode NEVER}. */
  rank(left: number, right: number): number {
    const hash = hashOf(left, right), bit = hash >>> this.#shift - FILTER_BITS;
    if ((this.#mayMerge[bit >>> 5] >>> bit & 1) === 0) return NEVER;
    const merges = this.#merges, slots = this.#slots, last = slots.length - 1;
    for (let slot = hash >>> this.#shift;; slot = (slot + 1) & last) {
      const rank = slots[slot] - 1;
      if (rank < 0) return NEVER;
      if (merges[3 * rank] === left && merges[3 * rank + 1] === right) return rank;
    }
  }

  /** What the pair of a rank becomes. */
  result(rank: number): number {
    return this.#merges[3 * rank + 2];
  }
}

function hashOf(left: number, right: number): number {
  return Math.imul(Math.imul(left, 0x9E3779B1) ^ right, 0x85EBCA6B);
}
