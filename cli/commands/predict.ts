/** `cloze predict`: lines with blanks in, answers out, each line as it comes. */

import { ClozeError, ioError } from "../../config/cloze_error.ts";
import { type FilledLine, FillMask } from "../../inference/fill_mask.ts";
import { parseFlags } from "../flags/flag.ts";
import { PREDICT } from "../flags/tables.ts";
import { newestRun, resolve } from "../paths.ts";
import { note, percent, printError } from "../terminal.ts";

/** Longer lines than this are not read as one. */
const LONGEST_LINE = 1 << 20;

/** Runs the command. */
export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parseFlags(PREDICT, args);
  const path = values.model === undefined ? await newestRun() : resolve(values.model);
  if (values.model === undefined) note(`model: ${path}`);
  using model = await FillMask.open(path, {
    ...(values["top-k"] === undefined ? {} : { topK: values["top-k"] }),
    ...(values.threads === undefined ? {} : { threads: values.threads }),
    ...(values.engine === undefined ? {} : { engine: values.engine }),
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

/** A line with its number from 1, or why it cannot be used. */
interface Line {
  number: number;
  text: string;
  problem?: ClozeError;
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
        new ClozeError("input", `${place}: ${error.message}`, error.hint === undefined ? {} : { hint: error.hint }),
      );
      good = false;
    }
  }
  if (prepared.length === 0) return good;
  const filled = await model.fillPrepared(prepared);
  await print(filled.map((line, i) => show({ ...line, input: inputs[i] })).join(""));
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

async function print(text: string): Promise<void> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
}

/** Groups of the lines that are there at once: one when someone types, many when a file is piped in. */
async function* lines(stream: { read(bytes: Uint8Array): Promise<number | null> }): AsyncGenerator<Line[]> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const buffer = new Uint8Array(1 << 16);
  let pending: Uint8Array[] = [], length = 0, number = 0;
  const finish = (last: Uint8Array): Line => {
    const parts = [...pending, last];
    const tooLong = length + last.length > LONGEST_LINE;
    [pending, length] = [[], 0];
    number++;
    if (tooLong) return problem(number, `it is longer than ${LONGEST_LINE} bytes`);
    const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    try {
      const text = decoder.decode(bytes).replace(/\r$/, "");
      return { number, text: number === 1 ? text.replace(/^\uFEFF/, "") : text };
    } catch {
      return problem(number, "it is not UTF-8 text", "convert it first, for example with: iconv -f CP949 -t UTF-8");
    }
  };
  for (;;) {
    const read = await stream.read(buffer);
    if (read === null) break;
    const group: Line[] = [];
    let from = 0;
    for (let end = buffer.indexOf(10); end >= 0 && end < read; end = buffer.indexOf(10, from)) {
      group.push(finish(buffer.slice(from, end)));
      from = end + 1;
    }
    if (from < read) {
      length += read - from;
      // Of a line that is too long only its length is kept.
      if (length > LONGEST_LINE) pending = [];
      else pending.push(buffer.slice(from, read));
    }
    if (group.length > 0) yield group;
  }
  if (length > 0) yield [finish(new Uint8Array())];
}

function problem(number: number, message: string, hint?: string): Line {
  return { number, text: "", problem: new ClozeError("input", message, hint === undefined ? {} : { hint }) };
}
