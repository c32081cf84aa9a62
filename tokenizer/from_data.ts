/** Plain data → a tokenizer: what was posted to another thread. Used by workers. */

import { PipelineTokenizer } from "./pipeline/tokenizer.ts";
import type { Tokenizer } from "./tokenizer.ts";
import type { TokenizerData } from "./tokenizer_data.ts";
import { WordPieceTokenizer } from "./wordpiece/tokenizer.ts";

/** The tokenizer whose `data` was posted. */
export function tokenizerFrom(data: TokenizerData): Tokenizer {
  return "model" in data ? new PipelineTokenizer(data) : new WordPieceTokenizer(data.vocabulary, data);
}
