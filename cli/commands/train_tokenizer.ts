/** `cloze train-tokenizer`: text in, a WordPiece vocabulary out. */

import { ClozeError } from "../../config/cloze_error.ts";
import { type CorpusCounts, type CorpusSource, countWords, tokenizerHash } from "../../data/mod.ts";
import {
  type Compat,
  Tokenizer,
  tokenizerFiles,
  type VocabularyReport,
  vocabularyReport,
  VocabularyTrainer,
  type WordCounts,
} from "../../tokenizer/mod.ts";
import { makeFolder, writeWhole } from "../../training/files.ts";
import { corpusConfig, corpusFiles, corpusFindings, saveStdin } from "../corpus.ts";
import { parseFlags } from "../flags/flag.ts";
import { TRAIN_TOKENIZER } from "../flags/tables.ts";
import { resolve } from "../paths.ts";
import { endProgress, grouped, note, progress } from "../terminal.ts";

/** What `tokenizer_config.json` says is the longest text: BERT's 512. */
const MODEL_MAX_LENGTH = 512;

/** Runs the command. */
export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parseFlags(TRAIN_TOKENIZER, args);
  const data = [...(values.data ?? []), ...positionals];
  if (data.length === 0 || values.output === undefined) {
    throw new ClozeError("usage", "cloze train-tokenizer needs --data PATH… and --output DIR");
  }
  const output = resolve(values.output);
  await makeFolder(output);
  const { files, stdin } = await corpusFiles(data, values, output);
  let learned: Learned;
  try {
    if (stdin !== undefined) await saveStdin(stdin);
    learned = await learnTokenizer({ files, config: corpusConfig(values) }, {
      ...(values["vocab-size"] === undefined ? {} : { vocab_size: values["vocab-size"] }),
      ...(values["min-frequency"] === undefined ? {} : { min_frequency: values["min-frequency"] }),
      ...(values["limit-alphabet"] === undefined ? {} : { limit_alphabet: values["limit-alphabet"] }),
      ...(values["pad-to-multiple"] === undefined ? {} : { pad_to_multiple_of: values["pad-to-multiple"] }),
      lowercase: values.lowercase ?? false,
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
  for (const [name, text] of Object.entries(tokenizerFiles(tokenizer, MODEL_MAX_LENGTH))) {
    await writeWhole(`${output}/${name}`, text);
  }
  note(`wrote ${output}: ${grouped(tokenizer.size)} tokens, hash ${tokenizerHash(tokenizer).slice(0, 16)}`);
  for (const line of describe(vocabularyReport(tokenizer, counts))) note(line);
  return 0;
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
  /** By default by the size of the text. */
  vocab_size?: number;
  min_frequency?: number;
  limit_alphabet?: number;
  pad_to_multiple_of?: number;
  lowercase: boolean;
  compat?: Compat;
  /** Workers that count words. */
  threads: number;
}

/** A tokenizer, and what it was learned from. */
interface Learned {
  tokenizer: Tokenizer;
  /** The words. */
  counts: WordCounts;
  corpus: CorpusCounts;
}

/** Learns a tokenizer from a corpus. */
export async function learnTokenizer(
  source: CorpusSource,
  options: LearnOptions,
): Promise<Learned> {
  const { lowercase, compat = "huggingface", vocab_size, threads, ...limits } = options;
  const normalizer = compat === "google"
    ? { lowercase, strip_accents: null, nfc: false, compat }
    // Korean needs accents kept: stripping them takes Hangul apart.
    : { lowercase, strip_accents: false };
  const trainer = new VocabularyTrainer({
    ...limits,
    normalizer,
    onProgress: (tokens) => progress(`learning the vocabulary: ${grouped(tokens)} tokens`),
  });
  const { words, characters, report } = await countWords(source, {
    normalizer,
    threads,
    onProgress: (sentences) => progress(`counting words: ${grouped(sentences)} lines`),
  });
  for (const counts of words) trainer.merge(counts);
  if (trainer.words === 0) throw new ClozeError("input", "the text has no words, so there is no vocabulary to learn");
  progress(`learning the vocabulary from ${grouped(trainer.words)} distinct words`);
  const vocabulary = trainer.train(vocab_size ?? suitableSize(characters));
  endProgress();
  const max_input_chars_per_word = compat === "google" ? 200 : 100;
  return {
    tokenizer: new Tokenizer(vocabulary, { normalizer, max_input_chars_per_word }),
    counts: trainer.counts,
    corpus: report.counts,
  };
}

/** A vocabulary for a text of that length: large texts can afford, and fill, larger ones. */
export function suitableSize(characters: number): number {
  return Math.max(1000, Math.min(16_000, Math.round(4 * Math.sqrt(characters) / 500) * 500));
}
