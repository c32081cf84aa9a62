/** Places of a long word by the rank of the merge that may be made there: a binary heap. Used by `bpe.ts`. */

import { grown } from "../word_table.ts";

/** The smallest rank first; of equal ones the place on the left. */
export class MergeQueue {
  #ranks = new Int32Array(1 << 8);
  #places = new Int32Array(1 << 8);
  #size = 0;
  /** What `pop` took out last. */
  rank = 0;
  place = 0;

  /** Forgets everything. */
  clear(): void {
    this.#size = 0;
  }

  /** Puts a place in. */
  push(rank: number, place: number): void {
    if (this.#size === this.#ranks.length) {
      this.#ranks = grown(this.#ranks, this.#size + 1);
      this.#places = grown(this.#places, this.#size + 1);
    }
    const ranks = this.#ranks, places = this.#places;
    let i = this.#size++;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (ranks[parent] < rank || (ranks[parent] === rank && places[parent] <= place)) break;
      ranks[i] = ranks[parent];
      places[i] = places[parent];
      i = parent;
    }
    ranks[i] = rank;
    places[i] = place;
  }

  /** Takes the first one out. Returns whether there was one. */
  pop(): boolean {
    if (this.#size === 0) return false;
    const ranks = this.#ranks, places = this.#places, size = --this.#size;
    this.rank = ranks[0];
    this.place = places[0];
    const rank = ranks[size], place = places[size];
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= size) break;
      if (
        child + 1 < size &&
        (ranks[child + 1] < ranks[child] || (ranks[child + 1] === ranks[child] && places[child + 1] < places[child]))
      ) child++;
      if (rank < ranks[child] || (rank === ranks[child] && place <= places[child])) break;
      ranks[i] = ranks[child];
      places[i] = places[child];
      i = child;
    }
    ranks[i] = rank;
    places[i] = place;
    return true;
  }
}
