/** A session on a terminal: a prompt, a line with the arrows for history, its answer, the next prompt. */

import process from "node:process";
import { createInterface } from "node:readline";
import { ClozeError } from "../config/cloze_error.ts";
import { counted } from "../config/numbers.ts";
import type { Answerer } from "./answer_lines.ts";
import { note, writeOut } from "./terminal.ts";

/** Lines that the arrows go back to. */
const HISTORY = 1000;

/**
 * Answers lines until Ctrl-D, or Ctrl-C on an empty line. A line that cannot be answered is explained.
 *
 * @param invitation what to type, in a sentence.
 */
export async function converse<P>(answerer: Answerer<P>, invitation: string): Promise<number> {
  note(`${invitation} The arrows bring earlier lines back; Ctrl-D ends.`);
  const { stdin: input, stderr: output } = process; // standard output is for answers
  const reader = createInterface({ input, output, terminal: true, prompt: "> ", historySize: HISTORY });
  reader.on("SIGINT", () => {
    if (reader.line === "") return reader.close();
    output.write("^C\n");
    reader.write(null, { ctrl: true, name: "e" }); // to the end, then delete to the beginning
    reader.write(null, { ctrl: true, name: "u" });
    reader.prompt();
  });
  reader.prompt();
  for await (const line of reader) {
    if (line.trim() !== "") await answerOne(answerer, line);
    reader.prompt();
  }
  output.write("\n");
  return 0;
}

async function answerOne<P>(answerer: Answerer<P>, line: string): Promise<void> {
  try {
    const prepared = answerer.prepare({ text: line });
    const { words, unknown } = answerer.counts(prepared);
    if (unknown > 0) note(`${unknown} of ${counted(words, "word")} became [UNK]: the model cannot tell what they are`);
    await writeOut((await answerer.answer([prepared], [{ text: line }])).join(""));
  } catch (error) {
    if (!(error instanceof ClozeError) || error.code !== "input") throw error;
    note(error.hint === undefined ? error.message : `${error.message}: ${error.hint}`);
  }
}
