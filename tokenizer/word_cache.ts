/** The pieces of words that came before: text repeats most of its words. Used by the tokenizer. */

import { spread } from "./hash_slots.ts";
import { IdBuffer } from "./id_buffer.ts";
import type { SubwordModel } from "./subword_model.ts";

/** Words whose pieces are remembered. About 40 bytes each. */
const CACHE_WORDS = 1 << 19;
/** Longer words, in bytes, are not remembered. */
const LONGEST_CACHED = 96;
/** Bits of a record's first number that hold the bytes of its word. */
const LENGTH_BITS = 7;

/**
 * A model that remembers. What it knows of a word lies in one place, its record: numbers of 32 bits, first how many bytes and
 * ids there are, then the ids, then the bytes. So a word costs two looks into memory that no cache of the processor has, one
 * for its slot and one for its record; they are most of the time that a known word takes.
 */
export class WordCache {
  readonly #model: SubwordModel;
  /** Two numbers a slot: the word's hash, and where its record begins; 0 where the slot is free. */
  #slots = new Int32Array(1 << 11);
  /** 32 minus the binary logarithm of the number of slots. */
  #shift = 22;
  #size = 0;
  #records = new Int32Array(1 << 12);
  /** The same memory. */
  #bytes = new Uint8Array(this.#records.buffer);
  /** Where the next record begins. */
  #end = 1;
  readonly #pieces = new IdBuffer();

  constructor(model: SubwordModel) {
    this.#model = model;
  }

  /** Appends the ids of the pieces of the word `bytes[start..end)`, whose hash is as in `word_table.ts`. */
  append(bytes: Uint8Array, start: number, end: number, hash: number, out: IdBuffer): void {
    const length = end - start;
    if (length > LONGEST_CACHED) return this.#model.match(bytes, start, end, out);
    const slots = this.#slots, records = this.#records, known = this.#bytes, last = slots.length - 2;
    // The upper bits of the product depend on every bit of the hash.
    let slot = Math.imul(hash, 0x9E3779B1) >>> this.#shift << 1;
    for (;; slot = (slot + 2) & last) {
      const record = slots[slot + 1];
      if (record === 0) return this.#add(slot, bytes, start, end, hash, out);
      if (slots[slot] !== hash) continue;
      const head = records[record], ids = record + 1, behind = ids + (head >>> LENGTH_BITS);
      if ((head & (1 << LENGTH_BITS) - 1) !== length) continue;
      let i = start;
      for (let at = behind << 2; i < end && known[at] === bytes[i]; at++) i++;
      if (i === end) return out.append(records, ids, behind);
    }
  }

  /** Remembers a new word, in a free slot. */
  #add(slot: number, bytes: Uint8Array, start: number, end: number, hash: number, out: IdBuffer): void {
    const pieces = this.#pieces;
    pieces.truncate(0);
    this.#model.match(bytes, start, end, pieces);
    const ids = pieces.view();
    out.append(ids, 0, ids.length);
    if (this.#size === CACHE_WORDS) {
      this.#slots.fill(0);
      this.#size = 0;
      this.#end = 1;
      return;
    }
    const length = end - start, record = this.#end, behind = record + 1 + ids.length;
    this.#end = behind + (length + 3 >> 2);
    if (this.#end > this.#records.length) {
      const larger = new Int32Array(Math.max(this.#end, 2 * this.#records.length));
      larger.set(this.#records);
      this.#records = larger;
      this.#bytes = new Uint8Array(larger.buffer);
    }
    this.#slots[slot] = hash;
    this.#slots[slot + 1] = record;
    this.#records[record] = ids.length << LENGTH_BITS | length;
    this.#records.set(ids, record + 1);
    for (let i = start, at = behind << 2; i < end; i++) this.#bytes[at++] = bytes[i];
    this.#size++;
    if (8 * this.#size > 3 * this.#slots.length) this.#slots = spread(this.#slots, --this.#shift, 0x9E3779B1);
  }
}
