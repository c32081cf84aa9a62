/** `cloze train-tokenizer`: text in, a WordPiece vocabulary out. */

import { ClozeError } from "../../../config/cloze_error.ts";
import { LONGEST_FILE, readWholeText } from "../../../config/regular_file.ts";
import { type CorpusCounts, type CorpusSource, countWords, tokenizerHash } from "../../../data/mod.ts";
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
  tokenizerFiles,
  type VocabularyReport,
  vocabularyReport,
  VocabularyTrainer,
  type WordCounts,
  WordPieceTokenizer,
} from "../../../tokenizer/mod.ts";
import { exists, makeFolder, writeWhole } from "../../../training/files.ts";
import { corpusConfig, corpusFiles, corpusFindings, noteOnce, saveStdin } from "../../corpus.ts";
import { bytesPace, tokensPace } from "../../pace.ts";
import { resolve } from "../../paths.ts";
import { stoppable } from "../../stop_signals.ts";
import { endProgress, grouped, note, percent, warn } from "../../terminal.ts";
import type { TrainTokenizerOptions } from "./flags.ts";

/** What `tokenizer_config.json` says is the longest text: BERT's 512. */
const MODEL_MAX_LENGTH = 512;
/** What may stand in words that are too long for any tokenizer, as a share of the characters. */
const MOST_IN_LONG_WORDS = 0.2;
const WORTH_A_WARNING = 0.001;

/** Above this share of the words it is said what to do. */
const MOST_UNKNOWN = 0.01;

/** Runs the command. */
export async function run({ positionals = [], ...values }: TrainTokenizerOptions): Promise<number> {
  const data = [...(values.data ?? []), ...positionals];
  if (data.length === 0 || values.output === undefined) {
    throw new ClozeError("usage", "cloze train-tokenizer needs --data PATH… and --output DIR");
  }
  const asked = learnedFlags(values);
  const output = resolve(values.output);
  await makeFolder(output);
  const there = values.force === true ? [] : await tokenizerIn(output);
  if (there.length > 0) {
    note(`note: ${output} has ${there[0]} in it; unless that is this tokenizer, it is replaced only with --force`);
  }
  const { files, stdin } = await corpusFiles(data, values, output);
  let learned: Learned;
  try {
    if (stdin !== undefined) await saveStdin(stdin, values.format);
    learned = await learnTokenizer({ files, config: corpusConfig(values) }, {
      ...(values["vocab-size"] === undefined ? {} : { vocab_size: values["vocab-size"] }),
      ...(values["min-frequency"] === undefined ? {} : { min_frequency: values["min-frequency"] }),
      ...(values["limit-alphabet"] === undefined ? {} : { limit_alphabet: values["limit-alphabet"] }),
      ...(values["pad-to-multiple"] === undefined ? {} : { pad_to_multiple_of: values["pad-to-multiple"] }),
      ...asked,
      compat: values.compat ?? "huggingface",
      threads: values.threads ?? navigator.hardwareConcurrency,
    });
  } finally {
    if (stdin !== undefined) await Deno.remove(stdin).catch(() => {});
  }
  const { tokenizer, counts } = learned;
  note(`read ${corpusFindings(learned.corpus)}`);
  if (tokenizer.normalizer.lowercase && tokenizer.normalizer.compat === "google") {
    note("note: Google's rules strip accents from lowercased text, which takes Hangul apart into Jamo");
  }
  const texts = tokenizerFiles(tokenizer, MODEL_MAX_LENGTH);
  for (const name of there) await expectSame(`${output}/${name}`, texts[name]);
  for (const [name, text] of Object.entries(texts)) await writeWhole(`${output}/${name}`, text);
  note(`wrote ${output}: ${grouped(tokenizer.size)} tokens, hash ${tokenizerHash(tokenizer).slice(0, 16)}`);
  const report = vocabularyReport(tokenizer, counts);
  for (const line of describe(report)) note(line);
  if (values["limit-alphabet"] !== undefined && report.unk_rate > MOST_UNKNOWN) {
    warn(
      `${percent(report.unk_rate)} of the text's words became [UNK]: no model can read or learn them`,
      "keep more of its characters: a larger --limit-alphabet, or none",
    );
  }
  return 0;
}

/** Those of a tokenizer's files that a folder has. */
async function tokenizerIn(folder: string): Promise<string[]> {
  const names = ["tokenizer.json", "vocab.txt", "tokenizer_config.json", "special_tokens_map.json"];
  const found = await Promise.all(names.map((name) => exists(`${folder}/${name}`)));
  return names.filter((_, i) => found[i]);
}

/** @throws {ClozeError} `input` if a file is not what would be written: a command that was stopped may be called again. */
async function expectSame(path: string, text: string): Promise<void> {
  if (await readWholeText(path, LONGEST_FILE.tokenizer).catch(() => undefined) === text) return;
  throw new ClozeError("input", `${path} exists, and is of another tokenizer than this one`, {
    hint: "give another --output, or --force to replace it",
  });
}

function describe({ words, tokens, fertility, unk_rate, scripts }: VocabularyReport): string[] {
  const share = (value: number) => `${(100 * value).toFixed(3)}%`;
  return [
    `fertility ${fertility.toFixed(3)} tokens a word (${grouped(tokens)} tokens, ${grouped(words)} words)`,
    `[UNK]     ${share(unk_rate)} of words (${grouped(Math.round(unk_rate * words))})`,
    "script           characters     kept",
    ...scripts.map(({ script, characters, coverage }) =>
      script.padEnd(13) + grouped(characters).padStart(14) + share(coverage).padStart(9)
    ),
  ];
}

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
  values: Pick<TrainTokenizerOptions, "lowercase" | "pre-tokenizer" | "special-token">,
): Pick<LearnOptions, "lowercase" | "pre_tokenizer" | "special_tokens"> {
  return {
    lowercase: values.lowercase ?? false,
    ...(values["pre-tokenizer"] === undefined ? {} : { pre_tokenizer: values["pre-tokenizer"] }),
    ...(values["special-token"] === undefined ? {} : { special_tokens: specialTokens(values["special-token"]) }),
  };
}

/** A tokenizer, and what it was learned from. */
interface Learned {
  tokenizer: WordPieceTokenizer;
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
  learning = (tokens) => show(tokens, size);
  const vocabulary = stoppable(() => trainer.train(size, max_input_chars_per_word));
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
  if (kept < characters) {
    const words = counts.reduce((sum, count) => sum + count, 0);
    note(
      `the ${grouped(characters - kept)} rarest of the text's ${grouped(characters)} characters are no tokens: ` +
        `at most ${(100 * lostWords / words).toFixed(3)}% of the words have one of them and become [UNK]`,
    );
  }
}
