/**
 * Learns a WordPiece vocabulary by the merge rule of Hugging Face's `WordPieceTrainer`. Unlike its vocabulary, this one is
 * a pure function of the counted words: everything is sorted, and every tie is broken. Used by the commands.
 */

import { learnMerges } from "./merges.ts";
import type { NormalizerOptions } from "./pre_tokenizer.ts";
import { SPECIAL_TOKENS } from "./tokenizer.ts";
import { codePointAt, widthOf } from "./utf8.ts";
import { WordCounter, type WordCounts } from "./word_counter.ts";

/** What to learn. */
export interface TrainerOptions {
  /** Pairs that are rarer are not merged. */
  min_frequency?: number;
  /** Most characters that are tokens of their own; Hangul alone has 11,172 syllables, of which a text uses some 2,500. */
  limit_alphabet?: number;
  /**
   * Fills the vocabulary up to a multiple of this with `[unused0]`, `[unused1]`, …, as BERT's own vocabularies do. They
   * have punctuation in them, so no text is ever encoded as one.
   */
  pad_to_multiple_of?: number;
  normalizer?: Partial<NormalizerOptions>;
  /** Told now and then how far it is: tokens so far. */
  onProgress?: (tokens: number) => void;
}

/** Words whose characters and pairs are counted together. */
export class VocabularyTrainer {
  readonly #options: Required<Omit<TrainerOptions, "normalizer" | "onProgress">>;
  readonly #onProgress: (tokens: number) => void;
  readonly #counter: WordCounter;

  constructor(options: TrainerOptions = {}) {
    const { min_frequency = 2, limit_alphabet = 6000, pad_to_multiple_of = 1 } = options;
    this.#options = { min_frequency, limit_alphabet, pad_to_multiple_of };
    this.#counter = new WordCounter(options.normalizer);
    this.#onProgress = options.onProgress ?? (() => {});
  }

  /** Counts the words of a text. */
  add(text: string): void {
    this.#counter.add(text);
  }

  /** Counts the words of UTF-8 text; see {@linkcode WordCounter.addUtf8}. */
  addUtf8(bytes: Uint8Array, from?: number, to?: number): void {
    this.#counter.addUtf8(bytes, from, to);
  }

  /** Adds the words that a `WordCounter` with the same normalizer has counted. */
  merge(counts: WordCounts): void {
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

  /**
   * At most `vocab_size` tokens (before padding): special ones first, then characters in code point order, then merges in
   * the order they were made; fewer if the text has no more pairs.
   */
  train(vocab_size: number): string[] {
    const { min_frequency, limit_alphabet, pad_to_multiple_of } = this.#options;
    const words = this.#counter.words;
    const tokens: string[] = [...SPECIAL_TOKENS];
    const alphabet = new Alphabet(words, limit_alphabet, tokens);
    learnMerges(tokens, {
      words,
      cut: (bytes, start, end, out) => alphabet.pieces(bytes, start, end, out),
      vocab_size,
      min_frequency,
      onProgress: this.#onProgress,
    });
    // An alphabet larger than the vocabulary is cut like everything else: from the end.
    tokens.length = Math.min(tokens.length, Math.max(vocab_size, SPECIAL_TOKENS.length));
    for (let i = 0; tokens.length % pad_to_multiple_of !== 0; i++) tokens.push(`[unused${i}]`);
    return tokens;
  }
}

/** The characters that are tokens, at the beginning of a word and inside one. */
class Alphabet {
  /** Ids of characters that are tokens. */
  readonly #initial = new Map<number, number>();
  readonly #continuing = new Map<number, number>();

  /** Appends the most frequent `limit` characters of the words to `tokens`, then those inside words with `##`. */
  constructor({ bytes, ends, counts }: WordCounts, limit: number, tokens: string[]) {
    const frequency = new Float64Array(0x110000);
    const inside = new Uint8Array(0x110000);
    for (let word = 0, start = 0; word < ends.length; start = ends[word++]) {
      for (let i = start; i < ends[word]; i += widthOf(bytes[i])) {
        const code = codePointAt(bytes, i);
        frequency[code] += counts[word];
        if (i > start) inside[code] = 1;
      }
    }
    const codes = [];
    for (let code = 0; code < frequency.length; code++) if (frequency[code] > 0) codes.push(code);
    const frequent = codes.sort((a, b) => frequency[b] - frequency[a] || a - b).slice(0, limit).sort((a, b) => a - b);
    for (const code of frequent) this.#initial.set(code, tokens.push(String.fromCodePoint(code)) - 1);
    for (const code of frequent) {
      if (inside[code]) this.#continuing.set(code, tokens.push(`##${String.fromCodePoint(code)}`) - 1);
    }
  }

  /**
   * The characters of a word as ids in `out`; returns how many. A character outside the alphabet is passed over, as
   * Hugging Face's trainer does.
   */
  pieces(bytes: Uint8Array, start: number, end: number, out: Int32Array): number {
    let length = 0;
    for (let i = start; i < end; i += widthOf(bytes[i])) {
      const id = (i === start ? this.#initial : this.#continuing).get(codePointAt(bytes, i));
      if (id !== undefined) out[length++] = id;
    }
    return length;
  }
}
