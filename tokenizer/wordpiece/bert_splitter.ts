/** BERT's normalizer and pre-tokenizer as a splitter: the fast way and the one with offsets. Used by the tokenizer. */

import type { AlignedText } from "../aligned_text.ts";
import type { WordSink, WordSplitter } from "../text_scanner.ts";
import { type NormalizerOptions, PreTokenizer } from "./pre_tokenizer.ts";
import { WordScanner } from "./word_scanner.ts";

/** Splits text as `BertNormalizer` and the chosen pre-tokenizer do. */
export class BertSplitter implements WordSplitter {
  readonly #preTokenizer: PreTokenizer;
  readonly #scanner: WordScanner;

  constructor(options: NormalizerOptions) {
    this.#preTokenizer = new PreTokenizer(options);
    this.#scanner = new WordScanner(options);
  }

  normalize(text: string): AlignedText {
    return this.#preTokenizer.normalize(text);
  }

  split(text: AlignedText, from: number, to: number): AlignedText[] {
    return this.#preTokenizer.split(text, from, to);
  }

  scan(bytes: Uint8Array, from: number, to: number, sink: WordSink): void {
    this.#scanner.scan(bytes, from, to, sink);
  }
}
