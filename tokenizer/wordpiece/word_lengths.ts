/** How long the words of a text are, and how long a word a tokenizer for it has to take. Used by the commands. */

import { codePoints } from "../utf8.ts";
import type { WordCounts } from "../word_counter.ts";

/**
 * The longest words, in characters, that a limit is raised for. Hugging Face's WordPiece takes time with the cube of a
 * word's length: 0.2 ms for 100 characters, 27 ms for 1,000, 10 s for 10,000.
 */
export const LONGEST_WORD = 1000;
/** Share of the characters that may stand in longer words than a tokenizer takes: addresses, keys, laughter. */
const TOLERATED = 0.001;
const STEP = 100;

/** A limit on the length of words, and what it means for a text. */
export interface WordLimit {
  /** Longer words become `[UNK]`. */
  max_input_chars_per_word: number;
  /** Share of the text's characters that stand in words longer than any limit that is chosen. */
  lost: number;
  /** Characters of the longest word. */
  longest: number;
}

/**
 * The smallest limit that suits a text: `least`, or that and as many hundreds, up to {@linkcode LONGEST_WORD}, as leave no
 * more than 0.1% of the text's characters in words that a larger limit would take.
 */
export function suitableWordLimit({ bytes, ends, counts }: WordCounts, least: number): WordLimit {
  const most = Math.max(LONGEST_WORD, least);
  const steps = Math.ceil((most - least) / STEP);
  /** Characters in words that need so many steps beyond `least`. */
  const needing = new Float64Array(steps + 1);
  let characters = 0, lost = 0, longest = 0;
  for (let word = 0, start = 0; word < ends.length; start = ends[word++]) {
    const length = codePoints(bytes, start, ends[word]);
    longest = Math.max(longest, length);
    characters += counts[word] * length;
    if (length > most) lost += counts[word] * length;
    else needing[Math.max(0, Math.ceil((length - least) / STEP))] += counts[word] * length;
  }
  let step = 0, left = characters - lost - needing[0];
  while (left > TOLERATED * characters) left -= needing[++step];
  return {
    max_input_chars_per_word: Math.min(most, least + step * STEP),
    lost: lost / Math.max(1, characters),
    longest,
  };
}
