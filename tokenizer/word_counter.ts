/**
 * How often every word of a text occurs. Counts of parts of a text can be made in several threads and merged: the sum does
 * not depend on who counted what. Used by the vocabulary trainer; a worker posts `WordCounts` to it.
 */

import { DEFAULT_NORMALIZER, type NormalizerOptions } from "./pre_tokenizer.ts";
import { codePointAt, widthOf } from "./utf8.ts";
import { WordScanner, type WordSink } from "./word_scanner.ts";
import { EMPTY_HASH, grown, nextHash, WordTable } from "./word_table.ts";

const encoder = new TextEncoder();

/** Counted words as plain data, which can be posted to another thread. */
export interface WordCounts {
  /** The words in UTF-8, end to end. */
  bytes: Uint8Array<ArrayBuffer>;
  /** Where each word ends in `bytes`. */
  ends: Uint32Array<ArrayBuffer>;
  /** How often each word occurs: whole numbers, exact up to 2^53. */
  counts: Float64Array<ArrayBuffer>;
}

/** Counts the words of text. */
export class WordCounter implements WordSink {
  readonly #scanner: WordScanner;
  readonly #table = new WordTable();
  #counts = new Float64Array(1 << 9);
  #utf8 = new Uint8Array(1 << 12);

  constructor(normalizer: Partial<NormalizerOptions> = {}) {
    this.#scanner = new WordScanner({ ...DEFAULT_NORMALIZER, ...normalizer });
  }

  /** Distinct words so far. */
  get size(): number {
    return this.#table.size;
  }

  /** Counts the words of a text. */
  add(text: string): void {
    if (3 * text.length > this.#utf8.length) this.#utf8 = new Uint8Array(3 * text.length);
    const { written } = encoder.encodeInto(text, this.#utf8);
    this.#scanner.scan(this.#utf8, 0, written, this);
  }

  /**
   * Counts the words of `bytes[from..to)`: whole UTF-8, any number of lines. A word has to be whole, and so has what may
   * compose with it, so cut text at line ends.
   */
  addUtf8(bytes: Uint8Array, from = 0, to = bytes.length): void {
    this.#scanner.scan(bytes, from, to, this);
  }

  /** @ignore Called by the scanner. */
  word(bytes: Uint8Array, start: number, end: number, hash: number): void {
    this.#count(bytes, start, end, hash, 1);
  }

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
