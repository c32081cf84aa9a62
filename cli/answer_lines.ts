/**
 * Answers lines of files, or the texts of records, or standard input as it comes; goes on after what cannot be answered or
 * read, and says why.
 */

import { ClozeError } from "../config/cloze_error.ts";
import { counted } from "../config/numbers.ts";
import type { ColumnsOf } from "../data/columns.ts";
import type { UnknownCounts } from "../tokenizer/mod.ts";
import { type AnswerSource, type Entry, linesOf, type SourceValues, type Texts } from "./answer_source.ts";
import { chunksOf } from "./lines.ts";
import { note, printError, writeOut } from "./terminal.ts";

/** Flags that say something of files: without a file they are looked at, and refused, where files are found. */
const FILE_FLAGS = [
  "text-column",
  "text-field",
  "pair-column",
  "format",
  "delimiter",
  "quoting",
  "documents",
  "exclude",
] as const;

/** A model as a command uses it. */
export interface Answerer<P> {
  /** @throws {ClozeError} if the line, or the record, cannot be answered. */
  prepare(line: Texts): P;
  /** Words of the line, and those that became `[UNK]`. */
  counts(prepared: P): UnknownCounts;
  /** What to print for each line. */
  answer(prepared: P[], inputs: Texts[]): Promise<string[]>;
}

/**
 * Answers what is behind paths, or standard input where there are none, and returns the exit code. Empty lines are passed
 * over.
 *
 * @param values the flags that say how files are read; `folders` whether all files of a folder are meant by its name.
 * @param columns which columns of records hold the texts, where that is not what `values` say.
 */
export async function answerLines<P>(
  answerer: Answerer<P>,
  paths: readonly string[],
  values: SourceValues,
  folders: boolean,
  columns?: ColumnsOf,
): Promise<number> {
  let failed = false;
  const fail = (error: unknown) => {
    // What is wrong with one text says nothing of the next one; anything else ends the command.
    if (!(error instanceof ClozeError) || (error.code !== "input" && error.code !== "io")) throw error;
    printError(error);
    failed = true;
  };
  const isPlain = paths.length === 0 && !FILE_FLAGS.some((name) => values[name] !== undefined);
  const sources = isPlain
    ? [linesOf(undefined, () => chunksOf(Deno.stdin), values)]
    : await (await fileSources()).sourcesOf(paths, values, folders, columns);
  for (const source of sources) {
    try {
      if (source instanceof ClozeError) throw source;
      if (!await answerSource(answerer, source)) failed = true;
    } catch (error) {
      fail(error);
    }
  }
  return failed ? 1 : 0;
}

async function answerSource<P>(answerer: Answerer<P>, source: AnswerSource): Promise<boolean> {
  const { name, entries, findings } = source;
  let good = true, isEmpty = true;
  for await (const waiting of entries()) {
    isEmpty &&= waiting.every(isBlank);
    if (!await answerGroup(answerer, waiting, name)) good = false;
  }
  const found = findings();
  if (found.length > 0) note(`note: ${name === undefined ? "" : `${name}: `}${found.join(", ")}`);
  // What is piped in may well be nothing, and a folder may have files without text.
  if (isEmpty && source.isNamed === true) {
    throw new ClozeError("input", `${name} has no text in it`, {
      hint: "give a file that has; of records, --text-column says where the text is",
    });
  }
  return good;
}

const isBlank = ({ problem, text, pair = "" }: Entry) =>
  problem === undefined && text.trim() === "" && pair.trim() === "";

/** Answers the entries that wait, in one go; returns whether all could be. */
async function answerGroup<P>(answerer: Answerer<P>, waiting: Entry[], name: string | undefined): Promise<boolean> {
  let good = true;
  const prepared: P[] = [], inputs: Texts[] = [];
  const placeOf = async (entry: Entry) => `${name === undefined ? "" : `${name}: `}${await entry.place()}`;
  for (const entry of waiting) {
    if (isBlank(entry)) continue;
    try {
      if (entry.problem !== undefined) throw entry.problem;
      const ready = answerer.prepare(entry);
      prepared.push(ready);
      inputs.push(entry);
      const { words, unknown } = answerer.counts(ready);
      if (2 * unknown > words) {
        const place = await placeOf(entry);
        note(
          `note: ${place}: ${unknown} of ${counted(words, "word")} became [UNK]: the model cannot tell what they are`,
        );
      }
    } catch (error) {
      if (!(error instanceof ClozeError)) throw error;
      printError(new ClozeError("input", `${await placeOf(entry)}: ${error.message}`, { hint: error.hint }));
      good = false;
    }
  }
  if (prepared.length > 0) await writeOut((await answerer.answer(prepared, inputs)).join(""));
  return good;
}

/**
 * What reads files, which standard input does not need. Its path is made here, because Deno reads all that a written-out
 * `import` leads to before a program starts: a hundred files, a quarter of the time to the first answer.
 */
function fileSources(): Promise<typeof import("./file_sources.ts")> {
  return import(new URL("file_sources.ts", import.meta.url).href);
}
