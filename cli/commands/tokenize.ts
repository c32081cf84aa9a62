/** `cloze tokenize`: lines in, their tokens out. */

import { ClozeError } from "../../config/cloze_error.ts";
import { loadTokenizer } from "../../tokenizer/mod.ts";
import { parseFlags } from "../flags/flag.ts";
import { TOKENIZE } from "../flags/tables.ts";
import { lines } from "../lines.ts";
import { newestRun, resolve } from "../paths.ts";
import { printError, writeOut } from "../terminal.ts";

/** Runs the command. */
export async function run(args: string[]): Promise<number> {
  const { values } = parseFlags(TOKENIZE, args);
  const tokenizer = await loadTokenizer(values.model === undefined ? await newestRun() : resolve(values.model));
  const show = (line: string) => {
    const { ids, offsets, words } = tokenizer.encode(line, { specials: "all" });
    const tokens = Array.from(ids, (id) => tokenizer.tokenOf(id));
    if (values.json === true) return JSON.stringify({ tokens, ids: [...ids], offsets, words });
    return values.ids === true ? ids.join(" ") : tokens.join(" ");
  };
  let failed = false;
  for await (const waiting of lines(Deno.stdin)) {
    for (const { number, problem } of waiting) {
      if (problem === undefined) continue;
      printError(new ClozeError("input", `line ${number}: ${problem.message}`, { hint: problem.hint }));
      failed = true;
    }
    await writeOut(waiting.filter((line) => line.problem === undefined).map((line) => show(line.text) + "\n").join(""));
  }
  return failed ? 1 : 0;
}
