/** More tokens for a tokenizer that has learned already, whatever its model is. Used by `cloze extend-vocab` and `pretrain --extend`. */

import { ClozeError } from "../config/cloze_error.ts";
import type { Extender } from "./extender.ts";
import { PipelineExtender } from "./pipeline/extension.ts";
import { PipelineTokenizer } from "./pipeline/tokenizer.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { WordPieceExtender } from "./wordpiece/vocabulary_extension.ts";
import { WordPieceTokenizer } from "./wordpiece/tokenizer.ts";

/** The extender of a tokenizer. @throws {ClozeError} `input` saying why it can have no more tokens. */
export function extenderOf(tokenizer: Tokenizer): Extender {
  if (tokenizer instanceof WordPieceTokenizer) return new WordPieceExtender(tokenizer);
  if (tokenizer instanceof PipelineTokenizer) return new PipelineExtender(tokenizer);
  throw new ClozeError("input", "its tokenizer is of a kind that cannot have more tokens");
}
