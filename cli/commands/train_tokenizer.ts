/** `cloze train-tokenizer`: text in, a WordPiece vocabulary out. */

import { ClozeError } from "../../config/cloze_error.ts";
import { type CorpusSource, countWords, tokenizerHash } from "../../data/mod.ts";
import { Tokenizer, tokenizerFiles, VocabularyTrainer } from "../../tokenizer/mod.ts";
import { makeFolder, writeWhole } from "../../training/files.ts";
import { corpusConfig, corpusFiles, corpusFindings, saveStdin } from "../corpus.ts";
import { parseFlags } from "../flags/flag.ts";
import { TRAIN_TOKENIZER } from "../flags/tables.ts";
import { resolve } from "../paths.ts";
import { bold, endProgress, grouped, note, progress } from "../terminal.ts";

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
  let tokenizer: Tokenizer;
  try {
    if (stdin !== undefined) await saveStdin(stdin);
    tokenizer = await learnTokenizer({ files, config: corpusConfig(values) }, {
      ...(values["vocab-size"] === undefined ? {} : { vocab_size: values["vocab-size"] }),
      ...(values["min-frequency"] === undefined ? {} : { min_frequency: values["min-frequency"] }),
      lowercase: values.lowercase ?? false,
      threads: values.threads ?? navigator.hardwareConcurrency,
    });
  } finally {
    if (stdin !== undefined) await Deno.remove(stdin).catch(() => {});
  }
  for (const [name, text] of Object.entries(tokenizerFiles(tokenizer, MODEL_MAX_LENGTH))) {
    await writeWhole(`${output}/${name}`, text);
  }
  note(`wrote ${output}: ${grouped(tokenizer.size)} tokens, hash ${tokenizerHash(tokenizer).slice(0, 16)}`);
  return 0;
}

/** Options of {@linkcode learnTokenizer}. */
export interface LearnOptions {
  /** By default by the size of the text. */
  vocab_size?: number;
  min_frequency?: number;
  lowercase: boolean;
  /** Workers that count words. */
  threads: number;
}

/** Learns a tokenizer from a corpus and says what came of it. */
export async function learnTokenizer(source: CorpusSource, options: LearnOptions): Promise<Tokenizer> {
  // Korean needs accents kept: stripping them takes Hangul apart.
  const normalizer = { lowercase: options.lowercase, strip_accents: false };
  const trainer = new VocabularyTrainer({
    ...(options.min_frequency === undefined ? {} : { min_frequency: options.min_frequency }),
    normalizer,
    onProgress: (tokens) => progress(`learning the vocabulary: ${grouped(tokens)} tokens`),
  });
  const { words, characters, report } = await countWords(source, {
    normalizer,
    threads: options.threads,
    onProgress: (sentences) => progress(`counting words: ${grouped(sentences)} lines`),
  });
  for (const counts of words) trainer.merge(counts);
  if (trainer.words === 0) throw new ClozeError("input", "the text has no words, so there is no vocabulary to learn");
  if (source !== "practice") note(bold("text     ") + corpusFindings(report.counts));
  progress(`learning the vocabulary from ${grouped(trainer.words)} distinct words`);
  const vocabulary = trainer.train(options.vocab_size ?? suitableSize(characters));
  endProgress();
  return new Tokenizer(vocabulary, { normalizer });
}

/** A vocabulary for a text of that length: large texts can afford, and fill, larger ones. */
export function suitableSize(characters: number): number {
  return Math.max(1000, Math.min(16_000, Math.round(4 * Math.sqrt(characters) / 500) * 500));
}
