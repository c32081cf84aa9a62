/** `cloze tokenize`: lines in, their tokens out; or ids in, text out. */

import { ClozeError } from "../../../config/cloze_error.ts";
import { type Compat, type Tokenizer, WordPieceTokenizer } from "../../../tokenizer/mod.ts";
import { checkedTokenizer } from "../../checked_tokenizer.ts";
import { refuseFlags } from "../../flags/refuse_flags.ts";
import { chunksOf, type Line, lines } from "../../lines.ts";
import { newestRun, resolve } from "../../paths.ts";
import { note, printError, writeOut } from "../../terminal.ts";
import type { TokenizeOptions } from "./flags.ts";

export { TABLE } from "./flags.ts";

/** Runs the command. */
export async function run(values: TokenizeOptions): Promise<number> {
  if (values.decode === true) {
    refuseFlags(values, ["ids", "json"], "says how tokens are written, but --decode writes text");
  }
  const path = values.tokenizer === undefined ? await newestRun("tokenizer") : resolve(values.tokenizer);
  if (values.tokenizer === undefined) note(`tokenizer: ${path}`);
  const loaded = await checkedTokenizer(path);
  if (Deno.stdin.isTerminal()) note(values.decode === true ? "Type ids." : "Type a line; its tokens come back.");
  const tokenizer = values.compat === undefined ? loaded : following(values.compat, loaded);
  const normalizer = tokenizer instanceof WordPieceTokenizer ? tokenizer.normalizer : undefined;
  // Google's code knows no special tokens in text.
  const specials = normalizer?.compat === "google" ? "corpus" : "all";
  // The other families are not made for Korean alone, and compose where their files say so.
  const warn = warnOfDecomposed(normalizer?.nfc ?? true);
  const show = (line: Line) => {
    if (values.decode === true) return tokenizer.decode(readIds(line.text));
    warn(line);
    if (values.json === true) {
      const { ids, offsets, words } = tokenizer.encode(line.text, { specials });
      return JSON.stringify({ tokens: Array.from(ids, (id) => tokenizer.tokenOf(id)), ids: [...ids], offsets, words });
    }
    const ids: number[] = [];
    tokenizer.encodeIds(line.text, ids, specials);
    return values.ids === true ? ids.join(" ") : ids.map((id) => tokenizer.tokenOf(id)).join(" ");
  };
  let failed = false;
  for await (const waiting of lines(chunksOf(Deno.stdin))) {
    let out = "";
    for (const line of waiting) {
      try {
        if (line.problem !== undefined) throw line.problem;
        out += show(line) + "\n";
      } catch (error) {
        if (!(error instanceof ClozeError)) throw error;
        printError(new ClozeError("input", `line ${line.number}: ${error.message}`, { hint: error.hint }));
        failed = true;
      }
    }
    await writeOut(out);
  }
  return failed ? 1 : 0;
}

/** The tokenizer with the rules of one or the other. */
function following(compat: Compat, tokenizer: Tokenizer): Tokenizer {
  if (!(tokenizer instanceof WordPieceTokenizer)) {
    throw new ClozeError("usage", "--compat says whose WordPiece rules apply, but this tokenizer is another", {
      hint: "leave --compat out",
    });
  }
  const { vocabulary, data } = tokenizer;
  if (compat === data.normalizer.compat) return tokenizer;
  const google = compat === "google";
  const longest = data.max_input_chars_per_word;
  return new WordPieceTokenizer(vocabulary, {
    ...data,
    normalizer: { ...data.normalizer, compat, ...(google ? { nfc: false, strip_accents: null } : {}) },
    // A tokenizer that was learned from longer words keeps them.
    max_input_chars_per_word: google ? Math.max(200, longest) : longest === 200 ? 100 : longest,
  });
}

/** Says once, where the tokenizer does not compose text, that a line would be the better for it. */
function warnOfDecomposed(composes: boolean): (line: Line) => void {
  let warned = composes;
  return ({ number, text }) => {
    if (warned || text.normalize("NFC") === text) return;
    warned = true;
    note(
      `note: line ${number} is not composed (NFC), and neither does this tokenizer compose: 한 in two or three parts is not 한`,
    );
  };
}

function readIds(text: string): number[] {
  return text.split(/\s+/).filter((word) => word !== "").map((word) => {
    if (/^\d+$/.test(word)) return Number(word);
    throw new ClozeError("input", `${JSON.stringify(word)} is not an id`, {
      hint: "cloze tokenize --ids writes what --decode reads",
    });
  });
}
