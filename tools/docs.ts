/** Writes docs/cli.md from the flag tables; with --check says whether it is up to date. usage: deno run -A tools/docs.ts */

import { helpText } from "../cli/flags/flag.ts";
import { TABLES } from "../cli/flags/tables.ts";

const path = `${import.meta.dirname}/../docs/cli.md`;
const text = [
  "# The commands",
  "",
  "Generated from `cli/flags/tables.ts` by `deno task generate`; the same text is in `--help`.",
  ...TABLES.flatMap((table) => ["", `## cloze ${table.name}`, "", "```text", helpText(table).trimEnd(), "```"]),
  "",
].join("\n");

if (Deno.args.includes("--check")) {
  const found = await Deno.readTextFile(path).catch(() => "");
  if (found !== text) {
    console.error("docs/cli.md is not what the flag tables say: run deno task generate");
    Deno.exit(1);
  }
} else {
  await Deno.writeTextFile(path, text);
}
