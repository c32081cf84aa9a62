/** Answers lines of files or of standard input as they come; goes on after those that cannot be answered, and says why. */

import { ClozeError, ioError } from "../config/cloze_error.ts";
import type { UnknownCounts } from "../tokenizer/mod.ts";
import { type Line, lines } from "./lines.ts";
import { resolve } from "./paths.ts";
import { note, printError, writeOut } from "./terminal.ts";

/** A model as a command uses it. */
export interface Answerer<P> {
  /** @throws {ClozeError} if the line cannot be answered. */
  prepare(text: string): P;
  /** Words of the line, and those that became `[UNK]`. */
  counts(prepared: P): UnknownCounts;
  /** What to print for each line. */
  answer(prepared: P[], inputs: string[]): Promise<string[]>;
}

/** Answers files, or standard input where there are none, and returns the exit code. Empty lines are passed over. */
export async function answerLines<P>(answerer: Answerer<P>, sources: readonly string[]): Promise<number> {
  let failed = false;
  for (const source of sources.length === 0 ? [undefined] : sources) {
    const stream = source === undefined ? Deno.stdin : await Deno.open(resolve(source)).catch((error) => {
      throw ioError(error, "read", source);
    });
    for await (const waiting of lines(stream)) {
      if (!await answerGroup(answerer, waiting, source)) failed = true;
    }
  }
  return failed ? 1 : 0;
}

/** Answers the lines that wait, in one go; returns whether all could be. */
async function answerGroup<P>(answerer: Answerer<P>, waiting: Line[], source: string | undefined): Promise<boolean> {
  let good = true;
  const prepared: P[] = [], inputs: string[] = [];
  for (const line of waiting) {
    if (line.text.trim() === "" && line.problem === undefined) continue;
    const place = source === undefined ? `line ${line.number}` : `${source}: line ${line.number}`;
    try {
      if (line.problem !== undefined) throw line.problem;
      const ready = answerer.prepare(line.text);
      prepared.push(ready);
      inputs.push(line.text);
      const { words, unknown } = answerer.counts(ready);
      if (2 * unknown > words) {
        note(`note: ${place}: ${unknown} of ${words} words became [UNK]: the model cannot tell what they are`);
      }
    } catch (error) {
      if (!(error instanceof ClozeError)) throw error;
      printError(new ClozeError("input", `${place}: ${error.message}`, { hint: error.hint }));
      good = false;
    }
  }
  if (prepared.length > 0) await writeOut((await answerer.answer(prepared, inputs)).join(""));
  return good;
}
