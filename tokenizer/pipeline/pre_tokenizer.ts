/** What a pre-tokenizer of a pipeline is. `pre_tokenizers.ts` has those that are known. */

import type { AlignedText } from "../aligned_text.ts";
import type { Json } from "../json_fields.ts";
import type { WordSink } from "../text_scanner.ts";

/** Cuts text into words. */
export interface PreTokenizer {
  /** What it writes into a text before it cuts it, such as a space at its beginning. `isFirst`: it begins the whole text. */
  prepare(text: AlignedText, isFirst: boolean): AlignedText;
  /** Hands the words of prepared text, `bytes[from..to)`, to the sink: ranges of these bytes, from left to right. */
  cut(bytes: Uint8Array, from: number, to: number, sink: WordSink): void;
  /** Both at once, for text whose offsets nobody asks for: the hot path. */
  scan(bytes: Uint8Array, from: number, to: number, sink: WordSink, isFirst: boolean): void;
}

/** Reads a sequence of steps of tokenizer.json, of which the first is of this type; `undefined` if it is not as it can be. */
export type ReadPreTokenizer = (steps: readonly Record<string, Json>[]) => PreTokenizer | undefined;
