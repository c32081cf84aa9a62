/** Writes docs/cli.md from the flag tables; with --check says whether it is up to date. usage: deno run -A tools/docs.ts */

import { loadTables } from "../cli/commands/registry.ts";
import { helpText } from "../cli/flags/help.ts";

const path = `${import.meta.dirname}/../docs/cli.md`;
const text = [
  "# The commands",
  "",
  "Generated from the tables in `cli/commands/*/flags.ts` by `deno task generate`; the same text is in `--help`.",
  ...(await loadTables()).flatMap((
    table,
  ) => ["", `## cloze ${table.name}`, "", "```text", helpText(table).trimEnd(), "```"]),
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
