/**
 * How often every word of a text occurs. Counts of parts of a text can be made in several threads and merged: the sum does
 * not depend on who counted what. Used by the vocabulary trainer; a worker posts `WordCounts` to it.
 */

import { type AddedToken, SPECIAL_TOKENS } from "./added_tokens.ts";
import { TextScanner, type TextSink, type WordSplitter } from "./text_scanner.ts";
import { codePointAt, widthOf } from "./utf8.ts";
import { EMPTY_HASH, grown, nextHash, WordTable } from "./word_table.ts";

/** Counted words as plain data, which can be posted to another thread. */
export interface WordCounts {
  /** The words in UTF-8, end to end. */
  bytes: Uint8Array<ArrayBuffer>;
  /** Where each word ends in `bytes`. */
  ends: Uint32Array<ArrayBuffer>;
  /** How often each word occurs: whole numbers, exact up to 2^53. */
  counts: Float64Array<ArrayBuffer>;
}

/** Counts the words of text, of a corpus: a tokenizer's own special tokens are plain text in it. */
export class WordCounter implements TextSink {
  readonly #scanner: TextScanner;
  readonly #table = new WordTable();
  #counts = new Float64Array(1 << 9);

  /**
   * @param added_tokens what is cut out before words are counted.
   * @param own contents of those that are plain text in a corpus.
   */
  constructor(
    splitter: WordSplitter,
    added_tokens: readonly AddedToken[] = [],
    own: readonly string[] = SPECIAL_TOKENS,
  ) {
    this.#scanner = new TextScanner(splitter, added_tokens, new Set(own));
  }

  /** Distinct words so far. */
  get size(): number {
    return this.#table.size;
  }

  /** Counts the words of a text. */
  add(text: string): void {
    this.#scanner.scan(text, "corpus", this);
  }

  /**
   * Counts the words of `bytes[from..to)`: whole UTF-8, any number of lines. A word has to be whole, and so has what may
   * compose with it, so cut text at line ends.
   */
  addUtf8(bytes: Uint8Array, from = 0, to = bytes.length): void {
    this.#scanner.scanUtf8(bytes, from, to, this);
  }

  /** @ignore Called by the scanner. */
  word(bytes: Uint8Array, start: number, end: number, hash: number): void {
    this.#count(bytes, start, end, hash, 1);
  }

  /** @ignore Called by the scanner: an added token is no word. */
  addedToken(): void {}

  #count(bytes: Uint8Array, start: number, end: number, hash: number, count: number): void {
    const word = this.#table.findOrAdd(bytes, start, end, hash);
    if (word >= this.#counts.length) this.#counts = grown(this.#counts, word + 1);
    this.#counts[word] += count;
  }

  /** What was counted so far. Views, good until more is counted; posting them to another thread copies them. */
  get words(): WordCounts {
    return { ...this.#table.words, counts: this.#counts.subarray(0, this.size) };
  }

  /** Adds what another counter has counted, with the same options. */
  merge({ bytes, ends, counts }: WordCounts): void {
    for (let word = 0, start = 0; word < ends.length; start = ends[word++]) {
      let hash = EMPTY_HASH;
      for (let i = start; i < ends[word]; i += widthOf(bytes[i])) hash = nextHash(hash, codePointAt(bytes, i));
      this.#count(bytes, start, ends[word], hash, counts[word]);
    }
  }
}
