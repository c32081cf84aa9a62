/** Learning a tokenizer from text, as several commands do it, and what a person is told of it. */

import { ClozeError } from "../config/cloze_error.ts";
import { grouped, percent } from "../config/numbers.ts";
import { type CorpusCounts, type CorpusSource, countWords } from "../data/mod.ts";
import {
  type Alphabet,
  bertWords,
  type Compat,
  LONGEST_WORD,
  type PreTokenizerName,
  SPECIAL,
  SPECIAL_TOKENS,
  specialTokens,
  suitableVocabSize,
  suitableWordLimit,
  type Tokenizer,
  VocabularyTrainer,
  type WordCounts,
  WordPieceTokenizer,
} from "../tokenizer/mod.ts";
import { noteOnce } from "./corpus.ts";
import type { Values } from "./flags/flag.ts";
import type { VOCABULARY_FLAGS } from "./flags/vocabulary_flags.ts";
import { bytesPace, tokensPace } from "./pace.ts";
import { stoppable } from "./stop_signals.ts";
import { endProgress, note, warn } from "./terminal.ts";

/** What may stand in words that are too long for any tokenizer, as a share of the characters. */
const MOST_IN_LONG_WORDS = 0.2;
const WORTH_A_WARNING = 0.001;

/** Where a vocabulary has fewer pieces for each token of its alphabet, a text has many more tokens than it could have. */
const FEW_PIECES = 0.25;

/** Options of {@linkcode learnTokenizer}. */
export interface LearnOptions {
  /** By default by the size of the text and its alphabet. */
  vocab_size?: number;
  min_frequency?: number;
  limit_alphabet?: number;
  pad_to_multiple_of?: number;
  lowercase: boolean;
  compat?: Compat;
  pre_tokenizer?: PreTokenizerName;
  /** Besides BERT's. */
  special_tokens?: readonly string[];
  /** Workers that count words. */
  threads: number;
}

/** What commands that learn a tokenizer ask for alike. */
export function learnedFlags(
  values: Values<typeof VOCABULARY_FLAGS>,
): Pick<LearnOptions, "lowercase" | "pre_tokenizer" | "special_tokens"> {
  return {
    lowercase: values.lowercase ?? false,
    ...(values["pre-tokenizer"] === undefined ? {} : { pre_tokenizer: values["pre-tokenizer"] }),
    ...(values["special-token"] === undefined ? {} : { special_tokens: specialTokens(values["special-token"]) }),
  };
}

/** A tokenizer, and what it was learned from. */
export interface Learned {
  tokenizer: Tokenizer;
  /** The words. */
  counts: WordCounts;
  corpus: CorpusCounts;
}

/**
 * Learns a tokenizer from a corpus. Says on standard error where the vocabulary had to be larger than asked for, what the
 * alphabet leaves out, and where words may be longer than usual.
 *
 * @throws {ClozeError} `input` if the text has no words, or is mostly made of words that no tokenizer takes.
 */
export async function learnTokenizer(
  source: CorpusSource,
  options: LearnOptions,
): Promise<Learned> {
  const { lowercase, compat = "huggingface", pre_tokenizer = "bert", vocab_size, threads, ...limits } = options;
  const normalizer = compat === "google"
    ? { lowercase, strip_accents: null, nfc: false, compat, pre_tokenizer }
    // Korean needs accents kept: stripping them takes Hangul apart.
    : { lowercase, strip_accents: false, pre_tokenizer };
  const special = [...SPECIAL_TOKENS, ...options.special_tokens ?? []];
  const added_tokens = special.map((content) => ({ content, ...SPECIAL }));
  let learning = (_tokens: number) => {};
  const trainer = new VocabularyTrainer({
    ...limits,
    normalizer,
    onProgress: (tokens) => learning(tokens),
  });
  const { words, characters, report } = await countWords(source, {
    words: bertWords(normalizer, added_tokens),
    threads,
    onProgress: bytesPace("counting words"),
    onNote: noteOnce,
  });
  for (const counts of words) trainer.merge(counts);
  if (trainer.words === 0) throw new ClozeError("input", "the text has no words, so there is no vocabulary to learn");
  const max_input_chars_per_word = wordLimit(trainer.counts, compat === "google" ? 200 : 100);
  const { alphabet } = trainer;
  const size = vocab_size ?? suitableVocabSize(characters, alphabet.tokens.length);
  const show = tokensPace(`learning the vocabulary from ${grouped(trainer.words)} distinct words`);
  const vocabulary = await stoppable((check) => {
    learning = (tokens) => {
      check();
      show(tokens, size);
    };
    return trainer.train(size, max_input_chars_per_word);
  });
  endProgress();
  noteAlphabet(alphabet, trainer.counts, { tokens: vocabulary.length, special: special.length }, vocab_size);
  return {
    tokenizer: new WordPieceTokenizer(vocabulary, {
      normalizer,
      max_input_chars_per_word,
      added_tokens,
      cleanup: pre_tokenizer === "bert", // elsewhere a space before a full stop is between words
    }),
    counts: trainer.counts,
    corpus: report.counts,
  };
}

/**
 * The longest words that are no `[UNK]`: `usual`, or more where the text has longer ones, which is said.
 *
 * @throws {ClozeError} `input` if most of the text would become `[UNK]` all the same.
 */
export function wordLimit(words: WordCounts, usual: number): number {
  const { max_input_chars_per_word, lost, longest } = suitableWordLimit(words, usual);
  const hint =
    "for letters without spaces, as of proteins or DNA, learn a vocabulary with --pre-tokenizer characters; " +
    "other text needs spaces between its words";
  const found = `${percent(lost)} of the text's characters stand in words of more than ` +
    `${grouped(Math.max(LONGEST_WORD, usual))} characters, the longest of ${grouped(longest)}`;
  if (lost > MOST_IN_LONG_WORDS) throw new ClozeError("input", `${found}: they would become [UNK]`, { hint });
  if (lost > WORTH_A_WARNING) warn(`${found}: they become [UNK]`, hint);
  if (max_input_chars_per_word > usual) {
    note(`words may have ${grouped(max_input_chars_per_word)} characters, not ${usual}: the text has such long ones`);
  }
  return max_input_chars_per_word;
}

/** Says what the alphabet did to the vocabulary's size, and what it leaves out. */
function noteAlphabet(
  alphabet: Alphabet,
  { counts }: WordCounts,
  { tokens, special }: { tokens: number; special: number },
  asked: number | undefined,
): void {
  const { characters, kept, lostWords } = alphabet;
  const least = special + alphabet.tokens.length;
  if (asked !== undefined && least > asked) {
    note(
      `the vocabulary has ${grouped(tokens)} tokens, more than the ${grouped(asked)} asked for: ` +
        `the text's ${grouped(kept)} characters need that many`,
    );
  }
  const pieces = tokens - least;
  if (tokens === asked && pieces < FEW_PIECES * alphabet.tokens.length) {
    note(
      `only ${grouped(pieces)} of the ${grouped(tokens)} tokens are more than single characters, so that ` +
        "words are cut into many: a larger --vocab-size, or a tokenizer by train-tokenizer --limit-alphabet N, makes texts shorter",
    );
  }
  if (kept < characters) {
    const words = counts.reduce((sum, count) => sum + count, 0);
    note(
      `the ${grouped(characters - kept)} rarest of the text's ${grouped(characters)} characters are no tokens: ` +
        `at most ${(100 * lostWords / words).toFixed(3)}% of the words have one of them and become [UNK]`,
    );
  }
}
