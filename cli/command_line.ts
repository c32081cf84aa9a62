/** Command lines as text: the one that was typed, for records, and words as a shell reads them back. */

/** The command that is running, as it could be typed again. */
export function commandLine(): string {
  return [Deno.build.standalone ? "cloze" : "deno run", ...Deno.args.map(quoted)].join(" ");
}

/** A word as a shell reads it back. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
