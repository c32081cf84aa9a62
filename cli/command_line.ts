/** Command lines as text: the one that was typed, for records, and words as a shell reads them back. */

/** A command with its arguments, as it could be typed again. */
export function typedCommand(args: readonly string[]): string {
  return [Deno.build.standalone ? "cloze" : "deno run", ...args.map(quoted)].join(" ");
}

/** A word as a shell reads it back. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
