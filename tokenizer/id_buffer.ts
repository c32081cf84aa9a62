/** Token ids that grow at their end, in one typed array: what encoding appends to, without an array a sentence. */

import { grown } from "./word_table.ts";

/** A list of ids. */
export class IdBuffer {
  #ids = new Int32Array(1 << 10);
  #length = 0;

  /** Number of ids. */
  get length(): number {
    return this.#length;
  }

  /** The id at `index`, which is below `length`. */
  at(index: number): number {
    return this.#ids[index];
  }

  /** Appends an id. */
  push(id: number): void {
    if (this.#length === this.#ids.length) this.#ids = grown(this.#ids, this.#length + 1);
    this.#ids[this.#length++] = id;
  }

  /** Appends `ids[start..end)`. */
  append(ids: Int32Array, start: number, end: number): void {
    let length = this.#length;
    if (length + end - start > this.#ids.length) this.#ids = grown(this.#ids, length + end - start);
    const to = this.#ids;
    for (let i = start; i < end; i++) to[length++] = ids[i];
    this.#length = length;
  }

  /** Takes the end off again: `length` ids stay. */
  truncate(length: number): void {
    this.#length = Math.min(this.#length, length);
  }

  /** The ids from `start` on. A view, good until the next id is appended. */
  view(start = 0): Int32Array<ArrayBuffer> {
    return this.#ids.subarray(start, this.#length);
  }
}
