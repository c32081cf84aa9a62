/**
 * A set of words as UTF-8 bytes, numbered in the order in which they came: a hash table in typed arrays, so that a word is
 * found without making a string of it. Knows no counts: `word_counter.ts` keeps those in arrays beside it.
 */

import { spread } from "./hash_slots.ts";

/** Where every word's hash begins; see {@linkcode nextHash}. */
export const EMPTY_HASH = 0x811C9DC5 | 0;

/** The hash of a word with one more code point (FNV-1a over code points). */
export function nextHash(hash: number, code: number): number {
  return Math.imul(hash ^ code, 0x01000193);
}

/** Words by number. */
export class WordTable {
  /** Two numbers a slot: the word's hash, and its number plus one; 0 where the slot is free. */
  #slots = new Int32Array(1 << 11);
  /** 32 minus the binary logarithm of the number of slots. */
  #shift = 22;
  /** The words end to end; word `i` is from `ends[i]` to `ends[i + 1]`. */
  #bytes = new Uint8Array(1 << 13);
  #ends = new Uint32Array(1 << 9);
  #size = 0;

  /** Number of words. */
  get size(): number {
    return this.#size;
  }

  /** The words' bytes end to end, and their ends. Views, good until the next word is added. */
  get words(): { bytes: Uint8Array<ArrayBuffer>; ends: Uint32Array<ArrayBuffer> } {
    return {
      bytes: this.#bytes.subarray(0, this.#ends[this.#size]),
      ends: this.#ends.subarray(1, this.#size + 1),
    };
  }

  /** The number of the word `bytes[start..end)` with that hash; if it is new, it gets the next number, `size`. */
  findOrAdd(bytes: Uint8Array, start: number, end: number, hash: number): number {
    const slots = this.#slots, ends = this.#ends, words = this.#bytes;
    const last = slots.length - 2;
    const length = end - start;
    // The upper bits of the product depend on every bit of the hash.
    let slot = Math.imul(hash, 0x9E3779B1) >>> this.#shift << 1;
    for (;; slot = (slot + 2) & last) {
      const number = slots[slot + 1];
      if (number === 0) return this.#add(slot, bytes, start, end, hash);
      if (slots[slot] !== hash) continue;
      const at = ends[number - 1];
      if (ends[number] - at !== length) continue;
      let i = 0;
      while (i < length && words[at + i] === bytes[start + i]) i++;
      if (i === length) return number - 1;
    }
  }

  #add(slot: number, bytes: Uint8Array, start: number, end: number, hash: number): number {
    const number = this.#size++;
    this.#slots[slot] = hash;
    this.#slots[slot + 1] = number + 1;
    const at = this.#ends[number], after = at + end - start;
    if (after > this.#bytes.length) this.#bytes = grown(this.#bytes, after);
    for (let i = start, to = at; i < end; i++) this.#bytes[to++] = bytes[i];
    if (number + 2 > this.#ends.length) this.#ends = grown(this.#ends, number + 2);
    this.#ends[number + 1] = after;
    if (8 * this.#size > 3 * this.#slots.length) this.#slots = spread(this.#slots, --this.#shift, 0x9E3779B1);
    return number;
  }

  /** Forgets all words; keeps the room they took. */
  clear(): void {
    this.#slots.fill(0);
    this.#size = 0;
  }
}

/** A copy with room for `length` elements and more. */
export function grown<T extends Uint8Array | Uint32Array | Int32Array | Float64Array>(array: T, length: number): T {
  const larger = new (array.constructor as new (length: number) => T)(Math.max(length, Math.ceil(1.5 * array.length)));
  larger.set(array);
  return larger;
}
