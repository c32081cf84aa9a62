/**
 * Counted words as numbers: every character is its place in an alphabet, so that substrings are compared without decoding
 * anything. Used by the trainer.
 */

import { codePointAt, codePoints, widthOf } from "../utf8.ts";
import type { WordCounts } from "../word_counter.ts";

/** Longer stretches are cut: their probabilities would be too small for a number. */
export const LONGEST_STRETCH = 32;

/** Stretches of words, end to end. */
export interface CodedWords {
  /** Places in the alphabet. */
  codes: Int32Array;
  /** Where each stretch ends. */
  ends: Uint32Array;
  /** How often each occurs. */
  counts: Float64Array;
  /** How often each character of the alphabet occurs. */
  frequencies: Float64Array;
}

/** The words, cut where a character is not in the alphabet, and behind every {@linkcode LONGEST_STRETCH} characters. */
export function codeWords({ bytes, ends, counts }: WordCounts, alphabet: readonly number[]): CodedWords {
  const places = new Map(alphabet.map((code, place) => [code, place]));
  const basic = new Int32Array(0x10000).fill(-1);
  for (const [code, place] of places) if (code < 0x10000) basic[code] = place;
  const codes = new Int32Array(codePoints(bytes, 0, bytes.length)), frequencies = new Float64Array(alphabet.length);
  const stretchEnds: number[] = [], stretchCounts: number[] = [];
  let length = 0, begun = 0;
  const close = (count: number) => {
    if (length === begun) return;
    stretchEnds.push(length);
    stretchCounts.push(count);
    begun = length;
  };
  for (let word = 0, start = 0; word < ends.length; start = ends[word++]) {
    for (let i = start; i < ends[word]; i += widthOf(bytes[i])) {
      const code = codePointAt(bytes, i), place = code < 0x10000 ? basic[code] : places.get(code) ?? -1;
      if (place < 0) close(counts[word]);
      else {
        if (length - begun === LONGEST_STRETCH) close(counts[word]);
        codes[length++] = place;
        frequencies[place] += counts[word];
      }
    }
    close(counts[word]);
  }
  return {
    codes: codes.subarray(0, length),
    ends: Uint32Array.from(stretchEnds),
    counts: Float64Array.from(stretchCounts),
    frequencies,
  };
}
