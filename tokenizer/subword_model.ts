/** What makes pieces of words: WordPiece, BPE, Unigram. Knows neither text nor added tokens. Used by the tokenizer. */

import type { IdBuffer } from "./id_buffer.ts";

/** A vocabulary, ready to cut words. */
export interface SubwordModel {
  /**
   * Appends the ids of the pieces of the word `bytes[start..end)`, which is whole UTF-8, and to `ends` where each of them
   * ends in `bytes`. A piece may end inside a code point. A pure function of the word: the tokenizer remembers what came of
   * it.
   */
  match(bytes: Uint8Array, start: number, end: number, out: IdBuffer, ends?: number[]): void;
}
