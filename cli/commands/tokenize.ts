/** `cloze tokenize`: lines in, their tokens out. */

import { loadTokenizer } from "../../tokenizer/mod.ts";
import { parseFlags } from "../flags/flag.ts";
import { TOKENIZE } from "../flags/tables.ts";
import { newestRun, resolve } from "../paths.ts";

/** Runs the command. */
export async function run(args: string[]): Promise<number> {
  const { values } = parseFlags(TOKENIZE, args);
  const tokenizer = await loadTokenizer(values.model === undefined ? await newestRun() : resolve(values.model));
  let rest = "";
  const show = (line: string) => {
    const { ids, offsets, words } = tokenizer.encode(line, { specials: "all" });
    const tokens = Array.from(ids, (id) => tokenizer.tokenOf(id));
    if (values.json === true) return JSON.stringify({ tokens, ids: [...ids], offsets, words });
    return values.ids === true ? ids.join(" ") : tokens.join(" ");
  };
  const print = async (text: string) => {
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
  };
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    if (lines.length > 0) await print(lines.map((line) => show(line) + "\n").join(""));
  }
  if (rest !== "") await print(show(rest) + "\n");
  return 0;
}
