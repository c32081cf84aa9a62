/** How the program was called, and commands as text, so that what is printed can be typed where it is printed. */

/** What `deno task install` sets. */
const INSTALLED = "CLOZE_CALLED";
/** What npx sets: the command after it may not be on the PATH. */
const NPM_EVENT = "npm_lifecycle_event";

/** The words before a command's name: `cloze`, `deno run`, or `npx -y deno run` on a machine that has no Deno of its own. */
export function program(): string {
  if (Deno.build.standalone) return "cloze";
  return environment(INSTALLED) ?? (environment(NPM_EVENT) === "npx" ? "npx -y deno run" : "deno run");
}

/** A command with its arguments, as it could be typed again. */
export function typedCommand(args: readonly string[]): string {
  return [program(), ...args.map(quoted)].join(" ");
}

/** A word as a shell reads it back. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function environment(name: string): string | undefined {
  try {
    return Deno.env.get(name) || undefined;
  } catch {
    return undefined; // a task that may not read it
  }
}
