/** Plain data → a tokenizer: what was posted to another thread. Used by workers. */

import { type PipelineData, PipelineTokenizer } from "./pipeline/tokenizer.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { type WordPieceData, WordPieceTokenizer } from "./wordpiece/tokenizer.ts";

/** What a tokenizer is as plain data. */
export type TokenizerData = WordPieceData | PipelineData;

/** The tokenizer whose `data` was posted. */
export function tokenizerFrom(data: TokenizerData): Tokenizer {
  return "model" in data ? new PipelineTokenizer(data) : new WordPieceTokenizer(data.vocabulary, data);
}
