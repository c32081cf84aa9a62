/** The pieces of words that came before: text repeats most of its words. Used by the tokenizer. */

import { IdBuffer } from "./id_buffer.ts";
import type { SubwordModel } from "./subword_model.ts";
import { grown, WordTable } from "./word_table.ts";

/** Words whose pieces are remembered. About 40 bytes each. */
const CACHE_WORDS = 1 << 19;
/** Longer words, in bytes, are not remembered. */
const LONGEST_CACHED = 96;

/** A model that remembers. */
export class WordCache {
  readonly #model: SubwordModel;
  readonly #words = new WordTable();
  /** The ids of remembered word `w` are in `#pieces` from `#ends[w]` to `#ends[w + 1]`. */
  #ends = new Uint32Array(1 << 9);
  readonly #pieces = new IdBuffer();

  constructor(model: SubwordModel) {
    this.#model = model;
  }

  /** Appends the ids of the pieces of the word `bytes[start..end)`, whose hash is as in `word_table.ts`. */
  append(bytes: Uint8Array, start: number, end: number, hash: number, out: IdBuffer): void {
    if (end - start > LONGEST_CACHED) return this.#model.match(bytes, start, end, out);
    const known = this.#words.size;
    if (known >= CACHE_WORDS) {
      this.#words.clear();
      this.#pieces.truncate(0);
      return this.append(bytes, start, end, hash, out);
    }
    const word = this.#words.findOrAdd(bytes, start, end, hash);
    if (word === known) {
      this.#model.match(bytes, start, end, this.#pieces);
      if (word + 2 > this.#ends.length) this.#ends = grown(this.#ends, word + 2);
      this.#ends[word + 1] = this.#pieces.length;
    }
    out.copy(this.#pieces, this.#ends[word], this.#ends[word + 1]);
  }
}
