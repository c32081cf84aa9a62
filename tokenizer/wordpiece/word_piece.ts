/** A word → pieces by greedy longest match (Wu et al., 2016; google-research/bert's WordpieceTokenizer). */

import type { IdBuffer } from "../id_buffer.ts";
import type { SubwordModel } from "../subword_model.ts";
import { Trie } from "./trie.ts";
import { codePoints } from "../utf8.ts";

/** Roots: tokens that begin a word; pieces inside a word, without their `##`. */
const INITIAL = 0;
const CONTINUING = 1;

/** A vocabulary, ready for matching. */
export class WordPiece implements SubwordModel {
  readonly #trie: Trie;
  readonly #unk: number;
  readonly #maxChars: number;

  /** `continuing` marks pieces inside a word: `##`. Words of more than `maxChars` code points are `unk`. */
  constructor(vocabulary: readonly string[], unk: number, maxChars: number, continuing: string) {
    this.#unk = unk;
    this.#maxChars = maxChars;
    this.#trie = new Trie(vocabulary, ["", continuing]);
  }

  /**
   * Appends the ids of the pieces of `bytes[start..end)`, or `unk` alone if any part of it matches nothing. With `inside`,
   * the bytes are the end of a word.
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
