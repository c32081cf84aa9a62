/** A tokenizer → its files, as Hugging Face has them. Used by the commands that make a model folder. */

import { pipelineFiles } from "./pipeline/files.ts";
import type { PipelineTokenizer } from "./pipeline/tokenizer.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { wordPieceFiles } from "./wordpiece/files.ts";
import { WordPieceTokenizer } from "./wordpiece/tokenizer.ts";

/** Contents of the files, by name. AutoTokenizer loads a folder that holds them and gives the same ids. */
export function tokenizerFiles(tokenizer: Tokenizer, max_length: number): Record<string, string> {
  if (tokenizer instanceof WordPieceTokenizer) return wordPieceFiles(tokenizer, max_length);
  return pipelineFiles(tokenizer as PipelineTokenizer, max_length);
}
