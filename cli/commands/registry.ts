/** The commands: their names, and what loads one. Knows what each of them needs as little as `main.ts` does. */

import type { CommandTable, Options } from "../flags/flag.ts";

/** In the order of the help. */
export const COMMANDS = [
  "pretrain",
  "predict",
  "playground",
  "evaluate",
  "report",
  "finetune",
  "embed",
  "reproduce",
  "bench",
  "inspect",
  "train-tokenizer",
  "extend-vocab",
  "tokenize",
  "doctor",
  "completions",
] as const;

/** A name in {@linkcode COMMANDS}. */
export type CommandName = typeof COMMANDS[number];

/** Who calls a command, and how. */
export interface Call {
  /** What was typed, for records. */
  readonly typed: string;
  /** Whether it is a part of another command, which says what comes next and takes the folder away. */
  readonly isPart?: boolean;
}

/** A command: does what its options say and resolves to the exit code. */
// deno-lint-ignore no-explicit-any
export type Command = (options: Options<any>, call: Call) => Promise<number>;

/** The table of a command, without its code. */
export async function loadTable(name: CommandName): Promise<CommandTable> {
  const { TABLE }: { TABLE: CommandTable } = await import(fileOf(name, "flags.ts"));
  return TABLE;
}

/** The tables of all commands. */
export async function loadTables(): Promise<CommandTable[]> {
  return await Promise.all(COMMANDS.map(loadTable));
}

/** The code of a command, and its table, which it brings along: Deno reads what two imports lead to one after the other. */
export async function loadCommand(name: CommandName): Promise<{ run: Command; table: CommandTable }> {
  const { run, TABLE }: { run: Command; TABLE: CommandTable } = await import(fileOf(name, "command.ts"));
  return { run, table: TABLE };
}

/**
 * A file of a command. Its path is made here, because Deno reads all that a written-out `import` leads to before a program
 * starts: 150 files, an eighth of the time to the first answer of `predict`.
 */
function fileOf(name: CommandName, file: string): string {
  return new URL(`${name.replaceAll("-", "_")}/${file}`, import.meta.url).href;
}
