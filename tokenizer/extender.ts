/** What extends a tokenizer; `extension.ts` has one for each kind. */

import type { ExtensionOptions } from "./extension_options.ts";
import type { Tokenizer } from "./tokenizer.ts";
import type { WordCounts } from "./word_counter.ts";
import type { WordSource } from "./word_source.ts";

/** A tokenizer with new tokens behind those that it had. */
export interface Extension {
  tokenizer: Tokenizer;
  /** For each new token the ids that the tokenizer made of it before. */
  pieces: Int32Array[];
}

/** Makes larger tokenizers of one. */
export interface Extender {
  /** What cuts text into the words that new tokens are learned from. */
  readonly words: WordSource;
  /** The tokens that a text most needs, at most `add` of them: a pure function of the counted words. */
  learn(words: WordCounts, options: ExtensionOptions): Extension;
  /**
   * Tokens that a person names: a word as it stands behind white space, or behind `##` what stands inside words. What is a
   * token already is passed over.
   *
   * @param placeOf where a token is named, for people.
   * @throws {ClozeError} `input` naming one that no text gives.
   */
  named(tokens: readonly string[], placeOf: (index: number) => string): Extension;
}
