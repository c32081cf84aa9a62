/** Command lines as text: the one that was typed, for records, and words as a shell reads them back. */

import { program } from "../config/called.ts";

/** A command with its arguments, as it could be typed again. */
export function typedCommand(args: readonly string[]): string {
  return [program(), ...args.map(quoted)].join(" ");
}

/** A word as a shell reads it back. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
