/** What cuts text into the words that a vocabulary is learned from, as plain data. Used by the commands and by workers. */

import { type AddedToken, SPECIAL_TOKENS } from "./added_tokens.ts";
import type { PipelineSteps } from "./pipeline/steps.ts";
import { splitterOf } from "./pipeline/splitter.ts";
import type { WordSplitter } from "./text_scanner.ts";
import { WordCounter } from "./word_counter.ts";
import { BertSplitter } from "./wordpiece/bert_splitter.ts";
import { DEFAULT_NORMALIZER, type NormalizerOptions } from "./wordpiece/pre_tokenizer.ts";

/** A splitter as plain data. */
export type SplitterData = { bert: NormalizerOptions } | { pipeline: PipelineSteps };

/** A splitter, and the added tokens that text is cut at before. */
export interface WordSource {
  splitter: SplitterData;
  /** What is cut out before words are counted. */
  added_tokens: readonly AddedToken[];
  /** Contents of those that are plain text in a corpus. */
  own: readonly string[];
}

/** BERT's way, with these options where they differ from the default. */
export function bertWords(
  normalizer: Partial<NormalizerOptions> = {},
  added_tokens: readonly AddedToken[] = [],
): WordSource {
  return { splitter: { bert: { ...DEFAULT_NORMALIZER, ...normalizer } }, added_tokens, own: SPECIAL_TOKENS };
}

/** The splitter that the data stands for. */
export function splitterFrom(data: SplitterData): WordSplitter {
  return "bert" in data ? new BertSplitter(data.bert) : splitterOf(data.pipeline);
}

/** A counter of the words of such a source; BERT's unless told otherwise. */
export function wordCounter({ splitter, added_tokens, own }: WordSource = bertWords()): WordCounter {
  return new WordCounter(splitterFrom(splitter), added_tokens, own);
}
