/**
 * The command line: finds the command, runs it, turns what it throws into a message and an exit code. Commands are loaded
 * when they are called, so that `predict` does not wait for what `pretrain` needs.
 */

import { ClozeError, ioError, messageOf } from "../config/cloze_error.ts";
import { VERSION } from "../config/run_config.ts";
import { helpText, nearest } from "./flags/flag.ts";
import { TABLES } from "./flags/tables.ts";
import { bold, note, printError, printStop, writeOut } from "./terminal.ts";

/** A command: takes its arguments and resolves to the exit code. */
export type Command = (args: string[]) => Promise<number>;

/**
 * Loads a command. Its path is made here, because Deno reads all that a written-out `import` leads to before a program
 * starts: 150 files, an eighth of the time to the first answer of `predict`.
 */
async function load(name: string): Promise<Command> {
  const { run }: { run: Command } = await import(
    new URL(`commands/${name.replaceAll("-", "_")}.ts`, import.meta.url).href
  );
  return run;
}

function overview(): string {
  const rows = TABLES.map(({ name, summary }) => `  ${name.padEnd(18)}${summary}`);
  return [
    bold("cloze") + " trains masked language models on your own text and fills the blanks in new text.",
    "",
    "Commands:",
    ...rows,
    "",
    "cloze COMMAND --help tells more. cloze --version tells the version.",
    "",
  ].join("\n");
}

async function dispatch(args: string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    const table = TABLES.find((table) => table.name === rest[0]);
    await writeOut(table === undefined ? overview() : helpText(table));
    return name === undefined ? 2 : 0;
  }
  if (name === "--version") {
    await writeOut(`cloze ${VERSION}\n`);
    return 0;
  }
  const table = TABLES.find((table) => table.name === name);
  if (table === undefined) {
    const names = TABLES.map(({ name }) => name);
    const near = nearest(name, names);
    throw new ClozeError("usage", `cloze has no command ${JSON.stringify(name)}`, {
      hint: near === undefined ? `the commands are ${names.join(", ")}` : `did you mean ${near}?`,
    });
  }
  if (rest.includes("--help") || rest.includes("-h")) {
    await writeOut(helpText(table));
    return 0;
  }
  const run = await load(name);
  return await run(rest);
}

/** Runs the command line and returns the exit code. */
export async function main(args: string[]): Promise<number> {
  try {
    return await dispatch(args);
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return 0; // the reader has had enough, as `head` has
    if (error instanceof ClozeError) {
      if (error.code === "interrupted") printStop(error);
      else printError(error);
      return error.exitCode;
    }
    if (/\(os error \d+\)/.test(messageOf(error))) { // a disk that is full or broken is no fault of cloze
      printError(ioError(error, "use", "a file"));
      if (debugging()) note(Deno.inspect(error));
      return 1;
    }
    printError(
      new ClozeError("engine", `cloze failed in a way that it did not expect: ${messageOf(error)}`, {
        hint: "CLOZE_DEBUG=1 shows where; please report it",
      }),
    );
    if (debugging()) note(Deno.inspect(error));
    return 1;
  }
}

function debugging(): boolean {
  try {
    return Deno.env.has("CLOZE_DEBUG");
  } catch {
    return false;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
