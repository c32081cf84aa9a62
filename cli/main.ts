/**
 * The command line: finds the command, parses its arguments, runs it, and turns what it throws into a message and an exit
 * code. The argument list ends here: commands take typed options, so that one can call another. Each is loaded when it is
 * called, so that `predict` does not wait for what `pretrain` needs.
 */

import { program, typedCommand } from "../config/called.ts";
import { ClozeError, ioError, messageOf } from "../config/cloze_error.ts";
import { type CommandName, COMMANDS, loadCommand, loadTable, loadTables } from "./commands/registry.ts";
import { nearest } from "./flags/nearest.ts";
import { parseFlags } from "./flags/parse.ts";
import { bold, note, printError, printStop, writeOut } from "./terminal.ts";

/** Commands that write a folder, and would all write the same one. */
const WRITING: readonly string[] = ["finetune", "reproduce", "extend-vocab"];

/** @throws {ClozeError} `usage` if an MPI launcher has started several processes of a command that is for one. */
async function refuseLauncher(name: string): Promise<void> {
  const { launched }: typeof import("../ffi/world.ts") = await import(here("../ffi/world.ts"));
  const launch = launched();
  if (launch === undefined || launch.size === 1) return;
  const many = launch.size === undefined ? "several processes" : `${launch.size} processes`;
  throw new ClozeError("usage", `cloze ${name} runs in one process, but ${launch.launcher} started ${many} of it`, {
    hint: "start it without a launcher; cloze pretrain is what several processes can share",
  });
}

async function dispatch(args: string[]): Promise<number> {
  const [word, ...rest] = args;
  if (word === undefined || word === "--help" || word === "-h" || word === "help") {
    const [about] = rest.filter((word) => !word.startsWith("-"));
    await writeOut(await helpOf(about === undefined ? undefined : commandOf(about)));
    return word === undefined ? 2 : 0;
  }
  const isAsked = (...flags: string[]) => flags.some((flag) => args.includes(flag));
  if (word === "version" || isAsked("--version", "-V")) {
    const { VERSION }: typeof import("../config/run_config.ts") = await import(here("../config/run_config.ts"));
    await writeOut(`cloze ${VERSION}\n`);
    return 0;
  }
  const name = commandOf(word);
  if (isAsked("--help", "-h")) {
    await writeOut(await helpOf(name));
    return 0;
  }
  const { run, table } = await loadCommand(name);
  if (WRITING.includes(name)) await refuseLauncher(name);
  const { values, positionals } = parseFlags(table, rest);
  const options = { ...values, ...(table.positional === undefined ? {} : { positionals }) };
  try {
    return await run(options, { typed: typedCommand(args) });
  } catch (error) {
    if (!(error instanceof ClozeError) || error.code !== "usage" || error.hint !== undefined) throw error;
    throw new ClozeError("usage", error.message, {
      hint: `${program()} help ${name} tells what it takes`,
      cause: error,
    });
  }
}

/** The command that is called so. @throws {ClozeError} `usage` if there is none. */
function commandOf(word: string): CommandName {
  const name = COMMANDS.find((name) => name === word);
  if (name !== undefined) return name;
  const near = nearest(word, COMMANDS);
  throw new ClozeError("usage", `cloze has no command ${JSON.stringify(word)}`, {
    hint: near === undefined ? `the commands are ${COMMANDS.join(", ")}` : `did you mean ${near}?`,
  });
}

/** The help of a command, or of all. */
async function helpOf(name: CommandName | undefined): Promise<string> {
  const { helpText, overviewText }: typeof import("./flags/help.ts") = await import(here("flags/help.ts"));
  if (name !== undefined) return helpText(await loadTable(name), program());
  return overviewText(await loadTables(), program(), bold("cloze"));
}

/** A path made at run time: Deno would read what stands in an `import` before each command. */
function here(path: string): string {
  return new URL(path, import.meta.url).href;
}

/** Runs the command line and returns the exit code. */
export async function main(args: string[]): Promise<number> {
  try {
    return await dispatch(args);
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) return 0; // the reader has had enough, as `head` has
    await letRankZeroSpeak();
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

/** Of processes that a launcher has started, all have mostly the same to say: rank 0 says it, and the launcher ends the others. */
async function letRankZeroSpeak(): Promise<void> {
  const { launched }: typeof import("../ffi/world.ts") = await import(here("../ffi/world.ts"));
  if ((launched()?.rank ?? 0) > 0) await new Promise((resolve) => setTimeout(resolve, 3000));
}

function debugging(): boolean {
  try {
    return Deno.env.has("CLOZE_DEBUG");
  } catch {
    return false;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
