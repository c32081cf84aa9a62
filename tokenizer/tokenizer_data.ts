/** Tokenizers as plain data, which can be posted to another thread. `from_data.ts` makes tokenizers of them again. */

import type { AddedToken, SpecialNames } from "./added_tokens.ts";
import type { Json } from "./json_fields.ts";
import type { ModelData } from "./pipeline/models.ts";
import type { PipelineSteps } from "./pipeline/steps.ts";
import type { NormalizerOptions } from "./wordpiece/pre_tokenizer.ts";

/** What a tokenizer is as plain data, of which `tokenizerFrom` makes it again. */
export interface TokenizerData {
  /** Token of each id. */
  vocabulary: readonly string[];
  /** How many tokens, from the first on, are the model's; the others are added tokens only. */
  pieces: number;
  /** Tokens that are found before the text is split. */
  added_tokens: readonly AddedToken[];
}

/** What a `WordPieceTokenizer` is made from. */
export interface WordPieceData extends TokenizerData {
  /** How text is normalized. */
  normalizer: NormalizerOptions;
  /** Longer words become `[UNK]`. */
  max_input_chars_per_word: number;
  /** Whether `decode` takes out the spaces before English punctuation. */
  cleanup: boolean;
}

/** What a `PipelineTokenizer` is made from: plain data. Steps are as tokenizer.json has them. */
export interface PipelineData extends TokenizerData, PipelineSteps {
  names: SpecialNames;
  model: ModelData;
  post_processors: readonly Record<string, Json>[];
  decoders: readonly Record<string, Json>[];
}
