/** How many words of a text became `[UNK]`, from its ids. Used wherever text is encoded. */

import type { Tokenizer } from "./tokenizer.ts";

/** Words and tokens of a text, and how many of them became `[UNK]`; a word becomes one. */
export interface UnknownCounts {
  /** As the pre-tokenizer cuts them: punctuation marks are words. */
  words: number;
  /** What they were cut into. */
  tokens: number;
  /** Tokens that are `[UNK]`. */
  unknown: number;
}

/** Counts the words of ids that were made of a text. */
export function unknownCounts(ids: Iterable<number>, tokenizer: Tokenizer): UnknownCounts {
  const { unk } = tokenizer.special;
  const sum = { words: 0, tokens: 0, unknown: 0 };
  for (const id of ids) {
    sum.tokens++;
    if (tokenizer.startsWord(id)) sum.words++;
    if (id === unk) sum.unknown++;
  }
  return sum;
}

/** Of no text. */
export const NO_WORDS: UnknownCounts = { words: 0, tokens: 0, unknown: 0 };

/** Two texts as one. */
export function bothCounts(a: UnknownCounts, b: UnknownCounts): UnknownCounts {
  return { words: a.words + b.words, tokens: a.tokens + b.tokens, unknown: a.unknown + b.unknown };
}
