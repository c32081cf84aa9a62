/**
 * Learns a WordPiece vocabulary by the merge rule of Hugging Face's `WordPieceTrainer`. Unlike its vocabulary, this one is
 * a pure function of the counted words: everything is sorted, and every tie is broken. Used by the commands.
 */

import { Alphabet } from "./alphabet.ts";
import { CHARACTER_PIECES, learnMerges } from "../merging/merges.ts";
import { BertSplitter } from "./bert_splitter.ts";
import { DEFAULT_NORMALIZER, type NormalizerOptions } from "./pre_tokenizer.ts";
import { SPECIAL_TOKENS } from "../added_tokens.ts";
import { codePoints } from "../utf8.ts";
import { WordCounter, type WordCounts } from "../word_counter.ts";

/** What to learn. */
export interface TrainerOptions {
  /** Pairs that are rarer are not merged. */
  min_frequency?: number;
  /**
   * Most characters that are tokens of their own; the rarest go. By default all of them are, up to 6,000, and of more as
   * many as leave at most one word in 100,000 without a token.
   */
  limit_alphabet?: number;
  /**
   * Fills the vocabulary up to a multiple of this with `[unused0]`, `[unused1]`, …, as BERT's own vocabularies do. They
   * have punctuation in them, so no text is ever encoded as one.
   */
  pad_to_multiple_of?: number;
  /** How text is normalized, where that is not the default. */
  normalizer?: Partial<NormalizerOptions>;
  /** Special tokens besides BERT's, behind which they stand. Words have to be counted without them. */
  special_tokens?: readonly string[];
  /** Told now and then how far it is: tokens so far. */
  onProgress?: (tokens: number) => void;
}

/** Words whose characters and pairs are counted together. */
export class VocabularyTrainer {
  readonly #minFrequency: number;
  readonly #limitAlphabet: number | undefined;
  readonly #padToMultipleOf: number;
  readonly #onProgress: (tokens: number) => void;
  readonly #specialTokens: readonly string[];
  readonly #counter: WordCounter;
  /** Of the words so far, once it was asked for. */
  #alphabet: Alphabet | undefined;

  /** Without a word so far. */
  constructor(options: TrainerOptions = {}) {
    this.#minFrequency = options.min_frequency ?? 2;
    this.#limitAlphabet = options.limit_alphabet;
    this.#padToMultipleOf = options.pad_to_multiple_of ?? 1;
    this.#specialTokens = [...SPECIAL_TOKENS, ...options.special_tokens ?? []];
    this.#counter = new WordCounter(new BertSplitter({ ...DEFAULT_NORMALIZER, ...options.normalizer }));
    this.#onProgress = options.onProgress ?? (() => {});
  }

  /** Counts the words of a text. */
  add(text: string): void {
    this.#alphabet = undefined;
    this.#counter.add(text);
  }

  /** Counts the words of UTF-8 text; see {@linkcode WordCounter.addUtf8}. */
  addUtf8(bytes: Uint8Array, from?: number, to?: number): void {
    this.#alphabet = undefined;
    this.#counter.addUtf8(bytes, from, to);
  }

  /** Adds the words that a `WordCounter` with the same normalizer has counted. */
  merge(counts: WordCounts): void {
    this.#alphabet = undefined;
    this.#counter.merge(counts);
  }

  /** Distinct words so far. */
  get words(): number {
    return this.#counter.size;
  }

  /** The words so far with their counts. */
  get counts(): WordCounts {
    return this.#counter.words;
  }

  /** The characters of the words so far that are tokens. */
  get alphabet(): Alphabet {
    return this.#alphabet ??= new Alphabet(this.#counter.words, this.#limitAlphabet);
  }

  /**
   * At most `vocab_size` tokens (before padding): special ones first, then the alphabet in code point order, then merges
   * in the order they were made. There are fewer if the text has no more pairs, and more if special tokens and alphabet
   * are more: they are never cut, as in Hugging Face's trainer, so that every word of the alphabet can be written.
   *
   * @param max_input_chars_per_word of the tokenizer to be: longer words become `[UNK]` there, so nothing is merged for them
   */
  train(vocab_size: number, max_input_chars_per_word: number = Infinity): string[] {
    const alphabet = this.alphabet;
    const first = this.#specialTokens.length;
    const tokens: string[] = [...this.#specialTokens, ...alphabet.tokens];
    learnMerges(tokens, {
      words: this.#counter.words,
      cut: (bytes, start, end, out) =>
        end - start > max_input_chars_per_word && codePoints(bytes, start, end) > max_input_chars_per_word
          ? 0
          : alphabet.pieces(bytes, start, end, out, first),
      pieces: CHARACTER_PIECES,
      vocab_size,
      min_frequency: this.#minFrequency,
      onProgress: this.#onProgress,
    });
    for (let i = 0; tokens.length % this.#padToMultipleOf !== 0; i++) tokens.push(`[unused${i}]`);
    return tokens;
  }
}
