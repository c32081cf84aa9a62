/** `cloze train-tokenizer`: text in, a WordPiece vocabulary out. */

import { ClozeError } from "../../config/cloze_error.ts";
import { expandPaths, readDocuments, tokenizerHash } from "../../data/mod.ts";
import { Tokenizer, tokenizerFiles, VocabularyTrainer } from "../../tokenizer/mod.ts";
import { makeFolder, writeWhole } from "../../training/files.ts";
import { parseFlags } from "../flags/flag.ts";
import { TRAIN_TOKENIZER } from "../flags/tables.ts";
import { callerFolder, resolve } from "../paths.ts";
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
  const files = await expandPaths(data, callerFolder());
  const output = resolve(values.output);
  await makeFolder(output);
  const tokenizer = await learnTokenizer(() => readDocuments(files), {
    ...(values["vocab-size"] === undefined ? {} : { vocab_size: values["vocab-size"] }),
    ...(values["min-frequency"] === undefined ? {} : { min_frequency: values["min-frequency"] }),
    lowercase: values.lowercase ?? false,
  });
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
}

/** Learns a tokenizer from documents and says what came of it. */
export async function learnTokenizer(
  documents: () => AsyncIterable<string[]> | Iterable<string[]>,
  options: LearnOptions,
): Promise<Tokenizer> {
  // Korean needs accents kept: stripping them takes Hangul apart.
  const normalizer = { lowercase: options.lowercase, strip_accents: false };
  const trainer = new VocabularyTrainer({
    ...(options.min_frequency === undefined ? {} : { min_frequency: options.min_frequency }),
    normalizer,
    onProgress: (tokens) => progress(`learning the vocabulary: ${grouped(tokens)} tokens`),
  });
  let characters = 0, sentences = 0;
  for await (const document of documents()) {
    for (const sentence of document) {
      trainer.add(sentence);
      characters += sentence.length;
      if (++sentences % 4096 === 0) {
        progress(`counting words: ${grouped(sentences)} sentences, ${grouped(trainer.words)} distinct words`);
      }
    }
  }
  if (trainer.words === 0) throw new ClozeError("input", "there are no words in the text to learn a vocabulary from");
  progress(`learning the vocabulary from ${grouped(trainer.words)} distinct words`);
  const vocabulary = trainer.train(options.vocab_size ?? suitableSize(characters));
  endProgress();
  return new Tokenizer(vocabulary, { normalizer });
}

/** A vocabulary for a text of that length: large texts can afford, and fill, larger ones. */
export function suitableSize(characters: number): number {
  return Math.max(1000, Math.min(16_000, Math.round(4 * Math.sqrt(characters) / 500) * 500));
}
