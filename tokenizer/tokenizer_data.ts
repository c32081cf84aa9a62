/** Tokenizers as plain data, which can be posted to another thread. `from_data.ts` makes tokenizers of them again. */

import type { AddedToken, SpecialNames } from "./added_tokens.ts";
import type { Json } from "./json_fields.ts";
import type { ModelData } from "./pipeline/models.ts";
import type { PipelineSteps } from "./pipeline/steps.ts";
import type { NormalizerOptions } from "./wordpiece/pre_tokenizer.ts";

/** What a `WordPieceTokenizer` is made from. */
export interface WordPieceData {
  vocabulary: readonly string[];
  normalizer: NormalizerOptions;
  max_input_chars_per_word: number;
  added_tokens: readonly AddedToken[];
  pieces: number;
  cleanup: boolean;
}

/** What a `PipelineTokenizer` is made from: plain data. Steps are as tokenizer.json has them. */
export interface PipelineData extends PipelineSteps {
  vocabulary: readonly string[];
  /** How many tokens, from the first on, are the model's; the others are added tokens only. */
  pieces: number;
  added_tokens: readonly AddedToken[];
  names: SpecialNames;
  model: ModelData;
  post_processors: readonly Record<string, Json>[];
  decoders: readonly Record<string, Json>[];
}

/** What a tokenizer is as plain data. */
export type TokenizerData = WordPieceData | PipelineData;
