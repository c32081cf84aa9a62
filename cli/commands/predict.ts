/** `cloze predict`: lines with blanks in, answers out, each line as it comes. */

import { ClozeError, ioError } from "../../config/cloze_error.ts";
import { type FilledLine, FillMask } from "../../inference/fill_mask.ts";
import { parseFlags } from "../flags/flag.ts";
import { PREDICT } from "../flags/tables.ts";
import { type Line, lines } from "../lines.ts";
import { newestRun, resolve } from "../paths.ts";
import { note, percent, printError, writeOut } from "../terminal.ts";

/** Runs the command. */
export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parseFlags(PREDICT, args);
  const path = values.model === undefined ? await newestRun() : resolve(values.model);
  if (values.model === undefined) note(`model: ${path}`);
  using model = await FillMask.open(path, {
    ...(values["top-k"] === undefined ? {} : { topK: values["top-k"] }),
    ...(values.threads === undefined ? {} : { threads: values.threads }),
    ...(values.engine === undefined ? {} : { engine: values.engine }),
    ...(values.dtype === undefined ? {} : { dtype: values.dtype }),
  });
  if (positionals.length === 0 && Deno.stdin.isTerminal()) note("Type a sentence with a [MASK] or ____ in it.");
  let failed = false;
  const show = values.json === true ? (line: FilledLine) => JSON.stringify(line) + "\n" : readable;
  for (const source of positionals.length === 0 ? [undefined] : positionals) {
    const stream = source === undefined ? Deno.stdin : await Deno.open(resolve(source)).catch((error) => {
      throw ioError(error, "read", source);
    });
    for await (const waiting of lines(stream)) {
      if (!await answer(model, waiting, source, show)) failed = true;
    }
  }
  return failed ? 1 : 0;
}

/** Answers the lines that wait, in one go; says of each that cannot be answered why. */
async function answer(
  model: FillMask,
  waiting: Line[],
  source: string | undefined,
  show: (line: FilledLine) => string,
): Promise<boolean> {
  let good = true;
  const prepared = [], inputs: string[] = [];
  for (const line of waiting) {
    if (line.text.trim() === "" && line.problem === undefined) continue;
    try {
      if (line.problem !== undefined) throw line.problem;
      prepared.push(model.prepare(line.text));
      inputs.push(line.text);
    } catch (error) {
      if (!(error instanceof ClozeError)) throw error;
      const place = source === undefined ? `line ${line.number}` : `${source}: line ${line.number}`;
      printError(
        new ClozeError("input", `${place}: ${error.message}`, { hint: error.hint }),
      );
      good = false;
    }
  }
  if (prepared.length === 0) return good;
  const filled = await model.fillPrepared(prepared);
  await writeOut(filled.map((line, i) => show({ ...line, input: inputs[i] })).join(""));
  return good;
}

/** The filled sentence, and under it the answers for each blank. */
function readable(line: FilledLine): string {
  const rows = line.masks.map((answers, i) => {
    const label = line.masks.length > 1 ? `  ${i + 1}. ` : "  ";
    return label + answers.map(({ token, probability }) => `${token} ${percent(probability)}`).join("  ");
  });
  return [line.sequence, ...rows, ""].join("\n");
}
