import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { ClozeError } from "../../config/cloze_error.ts";
import { loadTables } from "../commands/registry.ts";
import { flagWords } from "./command_text.ts";
import { choice, type CommandTable, duration, number, shares, text, texts, toggle, words } from "./flag.ts";
import { widthOf } from "../terminal.ts";
import { helpText, overviewText } from "./help.ts";
import { nearest } from "./nearest.ts";
import { parseFlags } from "./parse.ts";

const TABLE = {
  name: "bake",
  summary: "Bakes.",
  usage: "[flags]",
  positional: "PATH",
  details: "",
  flags: {
    data: texts("PATH", "Text."),
    output: text("DIR", "Folder."),
    size: choice(["small", "large"], "Size.", "small"),
    steps: number({ min: 1, max: 10, integer: true }, "Steps."),
    rate: number({ min: 0, max: 1 }, "Rate."),
    budget: duration("Time."),
    json: toggle("JSON."),
    shares: shares("M/R/K", "Shares."),
    words: words("WORD,…", "Words."),
  },
  examples: ["cloze bake"],
} satisfies CommandTable;

const parse = (...args: string[]) => parseFlags(TABLE, args);

Deno.test("parseFlags reads every kind of flag", () => {
  const { values, positionals } = parse(
    ...["--data", "a", "--data=b", "--output", "007", "--size", "large", "--steps=3", "--rate", "5e-1"],
    ...["--budget", "1.5h", "--json", "c", "d"],
  );
  assertEquals(values, {
    data: ["a", "b"],
    output: "007",
    size: "large",
    steps: 3,
    rate: 0.5,
    budget: 5_400_000,
    json: true,
  });
  assertEquals(positionals, ["c", "d"]);
  assertEquals(parse().values, {});
  assertEquals(parse("--", "--odd name").positionals, ["--odd name"]);
});

Deno.test("parseFlags refuses what is unknown, missing, out of range or given twice", () => {
  const cases: [string[], string, string?][] = [
    [["--sise", "small"], "no flag --sise", "did you mean --size?"],
    [["--zzzzzz"], "no flag --zzzzzz", "run help bake lists the flags"],
    [["-x"], "no flag -x"],
    [["--steps"], "--steps needs a value"],
    [["--steps="], "--steps needs a value"],
    [["--steps", "0"], "whole number from 1 to 10"],
    [["--steps", "-3"], '--steps is "-3", but has to be a whole number from 1 to 10'],
    [["--steps", "2.5"], "whole number"],
    [["--steps", "1e99"], "whole number"],
    [["--rate", "NaN"], "a number from 0 to 1"],
    [["--rate", ""], "needs a value"],
    [["--size", "larg"], "did you mean large?"],
    [["--budget", "0s"], "90s, 30m or 2h"],
    [["--budget", "10"], "90s, 30m or 2h"],
    [["--steps", "1", "--steps", "2"], "more than once"],
  ];
  for (const [args, message, hint] of cases) {
    const error = assertThrows(() => parse(...args), ClozeError, message);
    assertEquals(error.code, "usage");
    if (hint !== undefined) assertStringIncludes(error.hint!, hint);
  }
});

Deno.test("flagWords writes what parseFlags reads as the same options", () => {
  const cases = [
    ["--data", "a", "--data", "b c", "--output", "007", "--size", "large", "--steps", "3", "--rate", "0.05", "--json"],
    ["--budget", "90s"],
    ["--budget", "1.5h", "further", "paths"],
    ["--shares", "80/10/10", "--words", "hot,cold"],
    ["--shares", "33.3/33.3/33.4"],
    [],
  ];
  for (const args of cases) {
    const { values, positionals } = parse(...args);
    const again = parse(...flagWords(TABLE, { ...values, positionals }));
    assertEquals(again, { values, positionals, help: false });
  }
  assertEquals(flagWords(TABLE, { budget: 5_400_000, json: true, data: ["x"] }), [
    ...["--budget", "5400s", "--json", "--data", "x"],
  ]);
});

Deno.test("nearest finds a slip and gives up on a different word", () => {
  const names = ["data", "output", "preset", "max-sequence-length"];
  assertEquals(nearest("dta", names), "data");
  assertEquals(nearest("outptu", names), "output");
  assertEquals(nearest("max-seq", names), "max-sequence-length");
  assertEquals(nearest("banana", names), undefined);
});

Deno.test("helpText shows every flag of every command and what it takes", async () => {
  for (const table of await loadTables()) {
    const help = helpText(table).replace(/\|\n +/g, "|");
    for (const [name, { value }] of Object.entries(table.flags)) {
      assertMatch(help, new RegExp(`--${RegExp.escape(name)}${value === "" ? "" : ` ${RegExp.escape(value)}`}\\s`));
    }
  }
});

Deno.test("helpText and overviewText fit 80 columns for every command, however it was called", async () => {
  const tables = await loadTables();
  for (const called of ["cloze", "deno run", "npx -y deno run"]) {
    const pages = [overviewText(tables, called, "cloze"), ...tables.map((table) => helpText(table, called))];
    for (const line of pages.join("").split("\n")) assert(widthOf(line) <= 80, `${widthOf(line)} columns: ${line}`);
    for (const { name } of tables) assertMatch(pages[0], new RegExp(`^  ${name}`, "m"));
  }
});

Deno.test("helpText leaves an example that it breaks the command that it was", async () => {
  for (const table of await loadTables()) {
    const joined = helpText(table, "npx -y deno run").replaceAll(/ \\\n +/g, " ");
    for (const example of table.examples) {
      assertStringIncludes(joined, example.replace(/(^|[|] )cloze /g, "$1npx -y deno run "));
    }
  }
});
