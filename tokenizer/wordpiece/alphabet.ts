/**
 * The characters that are tokens of their own: what every word can be written with. Used by the vocabulary trainer and by
 * the command that chooses a size for the vocabulary.
 */

import { codePointAt, widthOf } from "../utf8.ts";
import type { WordCounts } from "../word_counter.ts";

/** Alphabets up to this size are kept whole unless told otherwise; Hangul has 11,172 syllables, of which a text uses some 2,500. */
const KEPT_WHOLE = 6000;
/** Of larger ones the rarest characters go, as long as no more than this share of the words has one of them. */
const LOST = 1e-5;

/**
 * The most frequent characters of counted words, each as it begins a word, and with `##` if it stands inside one: the
 * forms that Hugging Face's `WordPieceTrainer` has. Characters of the same frequency are kept in code point order.
 */
export class Alphabet {
  /** The tokens: characters in code point order, then those with `##`. */
  readonly tokens: readonly string[];
  /** The characters, in code point order. */
  readonly codes: readonly number[];
  /** Different characters of the words. */
  readonly characters: number;
  /** How many of them are tokens. */
  readonly kept: number;
  /** Most words, by occurrence, that have one of the others in them. */
  readonly lostWords: number;
  /** Places in `tokens`. */
  readonly #initial = new Map<number, number>();
  readonly #continuing = new Map<number, number>();

  /** Keeps at most `limit` characters; by default all that matter, which is all of an alphabet of ordinary size. */
  constructor({ bytes, ends, counts }: WordCounts, limit?: number) {
    const frequency = new Float64Array(0x110000);
    const inside = new Uint8Array(0x110000);
    let words = 0;
    for (let word = 0, start = 0; word < ends.length; start = ends[word++]) {
      words += counts[word];
      for (let i = start; i < ends[word]; i += widthOf(bytes[i])) {
        const code = codePointAt(bytes, i);
        frequency[code] += counts[word];
        if (i > start) inside[code] = 1;
      }
    }
    const codes: number[] = [];
    for (let code = 0; code < frequency.length; code++) if (frequency[code] > 0) codes.push(code);
    codes.sort((a, b) => frequency[b] - frequency[a] || a - b);
    let kept = Math.min(codes.length, limit ?? Infinity), lost = 0;
    for (let i = kept; i < codes.length; i++) lost += frequency[codes[i]];
    if (limit === undefined) {
      while (kept > KEPT_WHOLE && lost + frequency[codes[kept - 1]] <= LOST * words) {
        lost += frequency[codes[--kept]];
      }
    }
    this.characters = codes.length;
    this.kept = kept;
    this.lostWords = Math.min(lost, words);
    const tokens: string[] = [];
    const sorted = this.codes = codes.slice(0, kept).sort((a, b) => a - b);
    for (const code of sorted) this.#initial.set(code, tokens.push(String.fromCodePoint(code)) - 1);
    for (const code of sorted) {
      if (inside[code]) this.#continuing.set(code, tokens.push(`##${String.fromCodePoint(code)}`) - 1);
    }
    this.tokens = tokens;
  }

  /**
   * The characters of the word `bytes[start..end)` as places in {@linkcode tokens} plus `first`, in `out`; returns how
   * many. A character outside the alphabet is passed over, as Hugging Face's trainer does.
   */
  pieces(bytes: Uint8Array, start: number, end: number, out: Int32Array, first: number): number {
    let length = 0;
    for (let i = start; i < end; i += widthOf(bytes[i])) {
      const place = (i === start ? this.#initial : this.#continuing).get(codePointAt(bytes, i));
      if (place !== undefined) out[length++] = first + place;
    }
    return length;
  }
}
