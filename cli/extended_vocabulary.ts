/**
 * A model with more tokens, which are learned from a text or listed: what `extend-vocab` does, and `pretrain --extend` before
 * it trains.
 */

import { ClozeError } from "../config/cloze_error.ts";
import { grouped, percent } from "../config/numbers.ts";
import { LONGEST_FILE, readWholeText } from "../config/regular_file.ts";
import { type CorpusReport, type CorpusSource, countWords } from "../data/mod.ts";
import { writeExtendedModel } from "../model/extended_model.ts";
import type { ModelFolder } from "../model/model_folder.ts";
import {
  type Extender,
  extenderOf,
  type Extension,
  type Tokenizer,
  vocabularyReport,
  wordCounter,
  type WordCounts,
  WordPieceTokenizer,
} from "../tokenizer/mod.ts";
import { noteOnce } from "./corpus.ts";
import { wordLimit } from "./learn_tokenizer.ts";
import { bytesPace } from "./pace.ts";
import { endProgress, note, warn } from "./terminal.ts";

/** Files with how they are read. */
type FileSource = Exclude<CorpusSource, "practice">;

/** Above this share of the words it is said what to do. */
const MOST_UNKNOWN = 0.01;

/** How many tokens are learned from a text, or where they are listed. */
export interface NewTokens {
  /** Which flag says how many. */
  flag: "add" | "extend";
  add: number;
  min_frequency: number;
  /** A file with a token a line. */
  tokens?: string;
}

/**
 * What extends the tokenizer of a model.
 *
 * @throws {ClozeError} `input` saying why it can have no more tokens.
 */
function extenderIn(path: string, tokenizer: Tokenizer, flag: NewTokens["flag"]): Extender {
  try {
    return extenderOf(tokenizer);
  } catch (error) {
    if (!(error instanceof ClozeError)) throw error;
    const what = flag === "add" ? "extend-vocab" : "--extend";
    throw new ClozeError("input", `${path} has a tokenizer that ${what} cannot extend: ${error.message}`, {
      hint: error.hint ??
        (flag === "add" ? "special tokens can be added: --special-token" : "its vocabulary stays as it is"),
    });
  }
}

/** Writes the model with special tokens that are added by name, whatever its tokenizer is, and says what is in it. */
export async function writeSpecial(
  folder: ModelFolder,
  to: string,
  special: readonly string[],
): Promise<void> {
  const pieces = special.map((token) => folder.tokenizer.encode(token, { specials: "corpus" }).ids);
  await writeLarger(folder, to, folder.tokenizer.withSpecial(special), pieces);
}

/** @param pieces for each new token the ids that it was cut into before. */
async function writeLarger(
  { path: from, as }: Pick<ModelFolder, "path" | "as">,
  to: string,
  larger: Tokenizer,
  pieces: readonly Int32Array[],
): Promise<void> {
  const vocab_size = await writeExtendedModel({ from, as, to, tokenizer: larger, pieces });
  note(
    `wrote ${to}: ${grouped(pieces.length)} new ${pieces.length === 1 ? "token" : "tokens"}, ${
      grouped(larger.size)
    } in all, vocab_size ${vocab_size}`,
  );
}

/**
 * The words of a text as a model's tokenizer cuts them, counted.
 *
 * @param special tokens that are going to be added, which are no words.
 * @throws {ClozeError} `input` if the tokenizer can have no more tokens.
 */
export async function countedWords(
  corpus: FileSource,
  { path, tokenizer }: ModelFolder,
  { flag, special = [], threads }: { flag: NewTokens["flag"]; special?: readonly string[]; threads: number },
): Promise<{ words: WordCounts; report: CorpusReport }> {
  extenderIn(path, tokenizer, flag);
  const { words } = extenderOf(special.length === 0 ? tokenizer : tokenizer.withSpecial(special));
  const counted = await countWords(corpus, {
    words,
    threads,
    onProgress: bytesPace("counting words"),
    onNote: noteOnce,
  });
  endProgress();
  const counter = wordCounter(words);
  for (const words of counted.words) counter.merge(words);
  return { words: counter.words, report: counted.report };
}

/**
 * Writes the model with more tokens as a new folder, and says what is in it.
 *
 * @param counts of the text that tokens are learned from; without it they are listed, or there are special ones alone.
 * @param special tokens that are added by name.
 * @throws {ClozeError} `input` if there is no new token.
 */
export async function writeExtended(
  folder: ModelFolder,
  to: string,
  counts: WordCounts | undefined,
  special: readonly string[],
  { flag, add, min_frequency, tokens: listed }: NewTokens,
): Promise<void> {
  const tokenizer = counts === undefined ? folder.tokenizer : withLongWords(folder.tokenizer, counts);
  const extender = extenderIn(folder.path, tokenizer, flag);
  const { tokenizer: extended, pieces } = counts === undefined
    ? listed === undefined ? { tokenizer, pieces: [] } : await readTokens(extender, listed)
    : extender.learn(counts, { add, min_frequency });
  if (pieces.length + special.length === 0) throw nothingNew(counts === undefined ? 1 : min_frequency, flag);
  const larger = special.length === 0 ? extended : extended.withSpecial(special);
  await writeLarger(folder, to, larger, [
    ...pieces,
    ...special.map((token) => tokenizer.encode(token, { specials: "corpus" }).ids),
  ]);
  if (counts !== undefined) {
    const [before, after] = [folder.tokenizer, larger].map((tokenizer) => vocabularyReport(tokenizer, counts));
    note(`tokens a word in the text: ${before.fertility.toFixed(3)} before, ${after.fertility.toFixed(3)} now`);
    note(`words that are [UNK]: ${percent(before.unk_rate)} before, ${percent(after.unk_rate)} now`);
    if (after.unk_rate > MOST_UNKNOWN) {
      warn(
        `${percent(after.unk_rate)} of the text's words are [UNK] all the same`,
        `take in more of its characters: --${flag}`,
      );
    }
  }
}

function nothingNew(min_frequency: number, flag: NewTokens["flag"]): ClozeError {
  const what = "there is no new token to add";
  if (min_frequency === 1) return new ClozeError("input", `${what}: the model has them all`);
  return new ClozeError("input", `${what}: nothing that the model lacks occurs ${min_frequency} times in the text`, {
    hint: flag === "extend"
      ? "leave --extend out, or give more text"
      : "give more text, or take what is rarer, too: --min-frequency 1",
  });
}

/** A tokenizer whose words may be as long as those of the text. */
function withLongWords(tokenizer: Tokenizer, counts: WordCounts): Tokenizer {
  if (!(tokenizer instanceof WordPieceTokenizer)) return tokenizer;
  const max_input_chars_per_word = wordLimit(counts, tokenizer.max_input_chars_per_word);
  return new WordPieceTokenizer(tokenizer.vocabulary, { ...tokenizer.data, max_input_chars_per_word });
}

/** The tokenizer with the lines of a file. */
async function readTokens(extender: Extender, path: string): Promise<Extension> {
  const text = await readWholeText(path, LONGEST_FILE.tokenizer);
  const lines = text.replace(/^\uFEFF/, "").split("\n").map((line) => line.trim());
  const places = lines.flatMap((token, i) => token === "" ? [] : [i]);
  return extender.named(places.map((i) => lines[i]), (k) => `${path}: line ${places[k] + 1}`);
}
