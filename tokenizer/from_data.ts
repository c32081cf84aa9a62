/** Plain data → a tokenizer: what was posted to another thread. Used by workers. */

import { PipelineTokenizer } from "./pipeline/tokenizer.ts";
import type { Tokenizer } from "./tokenizer.ts";
import type { PipelineData, TokenizerData, WordPieceData } from "./tokenizer_data.ts";
import { WordPieceTokenizer } from "./wordpiece/tokenizer.ts";

/** The tokenizer whose `data` was posted. */
export function tokenizerFrom(data: TokenizerData): Tokenizer {
  if ("model" in data) return new PipelineTokenizer(data as PipelineData);
  return new WordPieceTokenizer(data.vocabulary, data as WordPieceData);
}
