/** Pairs of ids that merge, with their ranks: a hash table in typed arrays. Used by `bpe.ts`. */

/** The merges of a vocabulary. */
export class MergeTable {
  /** Four numbers a slot: both ids, the rank plus one (0 where the slot is free), and what the pair becomes. */
  readonly #slots: Int32Array;
  readonly #shift: number;
  /** What the pair that was found last becomes. */
  merged = 0;

  /** @param merges three numbers each: both ids and what they become, the first merge first. Of equal pairs the last counts. */
  constructor(merges: Int32Array) {
    const pairs = merges.length / 3;
    const bits = Math.max(4, Math.ceil(Math.log2(2 * pairs + 1)));
    this.#slots = new Int32Array(4 << bits);
    this.#shift = 32 - bits;
    for (let rank = 0; rank < pairs; rank++) {
      this.#set(merges[3 * rank], merges[3 * rank + 1], rank, merges[3 * rank + 2]);
    }
  }

  #set(left: number, right: number, rank: number, merged: number): void {
    const slots = this.#slots, last = slots.length - 4;
    let slot = hashOf(left, right) >>> this.#shift << 2;
    while (slots[slot + 2] !== 0 && (slots[slot] !== left || slots[slot + 1] !== right)) slot = (slot + 4) & last;
    slots[slot] = left;
    slots[slot + 1] = right;
    slots[slot + 2] = rank + 1;
    slots[slot + 3] = merged;
  }

  /** The rank of a pair, or -1; sets `merged`. */
  rank(left: number, right: number): number {
    const slots = this.#slots, last = slots.length - 4;
    let slot = hashOf(left, right) >>> this.#shift << 2;
    for (;;) {
      const rank = slots[slot + 2];
      if (rank === 0) return -1;
      if (slots[slot] === left && slots[slot + 1] === right) {
        this.merged = slots[slot + 3];
        return rank - 1;
      }
      slot = (slot + 4) & last;
    }
  }
}

function hashOf(left: number, right: number): number {
  return Math.imul(Math.imul(left, 0x9E3779B1) ^ right, 0x85EBCA6B);
}
