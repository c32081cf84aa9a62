/** Plain data → a tokenizer: what was posted to another thread. Used by workers. */

import type { Tokenizer } from "./tokenizer.ts";
import { type WordPieceData, WordPieceTokenizer } from "./wordpiece/tokenizer.ts";

/** What a tokenizer is as plain data. */
export type TokenizerData = WordPieceData;

/** The tokenizer whose `data` was posted. */
export function tokenizerFrom(data: TokenizerData): Tokenizer {
  return new WordPieceTokenizer(data.vocabulary, data);
}
