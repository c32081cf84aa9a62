/** A word → pieces by greedy longest match (Wu et al., 2016; google-research/bert's WordpieceTokenizer). */

import { IdBuffer } from "./id_buffer.ts";
import { Trie } from "./trie.ts";
import { codePoints } from "./utf8.ts";
import { grown, WordTable } from "./word_table.ts";

/** Words whose pieces are remembered: text repeats most of its words. About 40 bytes each. */
const CACHE_WORDS = 1 << 19;
/** Longer words, in bytes, are not remembered. */
const LONGEST_CACHED = 96;

/** Tokens that begin a word; pieces inside a word, without their `##`. */
const INITIAL = 0;
const CONTINUING = 1;

/** A vocabulary, ready for matching. */
export class WordPiece {
  readonly #trie = new Trie(2);
  readonly #unk: number;
  readonly #maxChars: number;
  readonly #words = new WordTable();
  /** The ids of remembered word `w` are in `#pieces` from `#ends[w]` to `#ends[w + 1]`. */
  #ends = new Uint32Array(1 << 9);
  readonly #pieces = new IdBuffer();

  /** `continuing` marks pieces inside a word: `##`. Words of more than `maxChars` code points are `unk`. */
  constructor(vocabulary: readonly string[], unk: number, maxChars: number, continuing: string) {
    this.#unk = unk;
    this.#maxChars = maxChars;
    vocabulary.forEach((token, id) => {
      if (token !== "") this.#trie.add(INITIAL, token, id);
      if (token.startsWith(continuing) && token !== continuing) {
        this.#trie.add(CONTINUING, token.slice(continuing.length), id);
      }
    });
  }

  /** Appends the ids of the pieces of `bytes[start..end)`, or `unk` alone if any part of it matches nothing. */
  append(bytes: Uint8Array, start: number, end: number, hash: number, out: IdBuffer): void {
    if (end - start > LONGEST_CACHED) return this.match(bytes, start, end, out);
    const known = this.#words.size;
    if (known >= CACHE_WORDS) {
      this.#words.clear();
      this.#pieces.truncate(0);
      return this.append(bytes, start, end, hash, out);
    }
    const word = this.#words.findOrAdd(bytes, start, end, hash);
    if (word === known) {
      this.match(bytes, start, end, this.#pieces);
      if (word + 2 > this.#ends.length) this.#ends = grown(this.#ends, word + 2);
      this.#ends[word + 1] = this.#pieces.length;
    }
    out.copy(this.#pieces, this.#ends[word], this.#ends[word + 1]);
  }

  /**
   * The same without remembering anything; appends to `ends` where each piece ends. With `inside`, the bytes are the end of
   * a word.
   */
  match(bytes: Uint8Array, start: number, end: number, out: IdBuffer, ends?: number[], inside = false): void {
    const before = out.length;
    let i = start;
    if (end - start <= this.#maxChars || codePoints(bytes, start, end) <= this.#maxChars) {
      for (let root = inside ? CONTINUING : INITIAL; i < end; root = CONTINUING) {
        const id = this.#trie.longest(root, bytes, i, end);
        if (id < 0) break;
        i = this.#trie.end;
        out.push(id);
        ends?.push(i);
      }
      if (i === end) return;
    }
    ends?.splice(0, ends.length, end);
    out.truncate(before);
    out.push(this.#unk);
  }
}
