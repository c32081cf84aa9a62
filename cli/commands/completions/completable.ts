/** What of a table can be completed, for every shell. */

import { type CommandTable, type Flag, HELP } from "../../flags/flag.ts";

/** What stands behind a flag: nothing, one of some words, a path, or something that nobody can guess. */
export type ValueKind = { kind: "none" | "folder" | "file" | "other" } | { kind: "words"; words: readonly string[] };

/** What completions need of a flag. */
type Shown = Pick<Flag<unknown>, "value" | "help" | "many">;

/** The flags of a command by name, that for help included. */
export function flagsOf(table: CommandTable): [name: string, flag: Shown][] {
  return Object.entries({ ...table.flags, help: HELP });
}

/** What stands behind a flag. */
export function valueOf({ value }: Pick<Shown, "value">): ValueKind {
  if (value === "") return { kind: "none" };
  const words = value.split("|").filter((word) => /^[a-z0-9][a-z0-9+-]*$/.test(word));
  if (words.length > 0) return { kind: "words", words };
  if (value === "DIR") return { kind: "folder" };
  return { kind: /^(PATH|FILE|GLOB)/.test(value) ? "file" : "other" };
}

/** Whether the other words of a command are paths. */
export function takesFiles({ positional }: CommandTable): boolean {
  return positional !== undefined && /^(PATH|FILE|DIR)/.test(positional);
}

/** The first sentence of a text, without what shells would take for their own. */
export function firstSentence(text: string): string {
  return text.replace(/\s+/g, " ").replace(/([.:;]) .*$/, "$1").replace(/[.:;]$/, "");
}
