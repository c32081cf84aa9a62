/**
 * Globs as bash has them with globstar: `*`, `?`, `[a-z]`, `[!a]`, `[^a]`, `[[:alpha:]]`, `**`, `{a,b}`, `{1..3}` and
 * `\`, which takes a character as it is. A dot at the beginning of a name is matched by a dot only. Used to find files,
 * where the shell has not expanded a pattern.
 */

import { ClozeError, ioError } from "../config/cloze_error.ts";

/** More words than this do not come out of one pattern's braces. */
const MOST_WORDS = 10_000;

/** Whether a path has characters that are special in a glob. */
export function hasGlob(path: string): boolean {
  return /[*?[{\\]/.test(path);
}

/**
 * Paths that match, below `cwd` for a relative pattern, each once. Folders match too; links to folders are not followed
 * by `**`.
 *
 * @throws {ClozeError} `input` for a bracket that is not closed, `io` for a folder that cannot be read.
 */
export async function glob(pattern: string, cwd: string): Promise<string[]> {
  const found = new Set<string>();
  for (const word of expandBraces(pattern)) {
    const isAbsolute = word.startsWith("/");
    const segments = word.split("/").filter((part) => part !== "").map((part) => compile(part, pattern))
      .filter((segment, i, all) => segment !== ANY_FOLDERS || all[i - 1] !== ANY_FOLDERS);
    if (segments.length === 0) continue; // an alternative of nothing
    const onlyFolders = word.endsWith("/");
    for await (const path of walk(isAbsolute ? "/" : cwd, segments, 0)) {
      if (!onlyFolders || await isFolder(path)) found.add(path);
    }
  }
  return [...found].sort();
}

/**
 * A pattern as a test of relative paths: a pattern without a slash is about the last name of a path, one with a slash
 * about all of it. Names that begin with a dot are like others here.
 *
 * @throws {ClozeError} `input` for a bracket that is not closed.
 */
export function pathMatcher(pattern: string): (path: string) => boolean {
  const anchored = pattern.replace(/\/$/, "").includes("/");
  const alternatives = expandBraces(pattern.replace(/\/$/, "")).map((word) =>
    word.split("/").filter((part) => part !== "" && part !== ".").map((part) => compile(part, pattern, true))
  );
  return (path) => {
    const names = path.split("/");
    return alternatives.some((segments) => matches(segments, anchored ? names : names.slice(-1)));
  };
}

function matches(segments: readonly Segment[], names: readonly string[]): boolean {
  if (segments.length === 0) return names.length === 0;
  const [first, ...others] = segments;
  if (first === ANY_FOLDERS) return names.some((_, i) => matches(others, names.slice(i))) || matches(others, []);
  if (names.length === 0) return false;
  const fits = typeof first === "string" ? first === names[0] : first.test(names[0]);
  return fits && matches(others, names.slice(1));
}

/** A name, a test of names, or `**`, which stands for any folders. */
type Segment = string | RegExp | typeof ANY_FOLDERS;

const ANY_FOLDERS = Symbol("**");

async function* walk(folder: string, segments: readonly Segment[], at: number): AsyncGenerator<string> {
  const segment = segments[at], isLast = at === segments.length - 1;
  const join = (name: string) => `${folder.replace(/\/$/, "")}/${name}`;
  if (segment === ANY_FOLDERS) {
    if (!await isFolder(folder)) return;
    if (isLast) { if (at > 0) yield folder; }
    else yield* walk(folder, segments, at + 1);
    for (const entry of await entriesOf(folder)) {
      if (entry.name.startsWith(".")) continue;
      if (entry.isDirectory) yield* walk(join(entry.name), segments, at);
      // Of a link to a folder the link itself is found, but not what is behind it.
      if (isLast && (!entry.isDirectory || at === 0)) yield join(entry.name);
    }
  } else if (typeof segment === "string") {
    const path = join(segment);
    // Deno takes dots behind a file away by their name; the system goes to folders alone.
    if (/^\.\.?$/.test(segment) && !await isFolder(folder)) return;
    if (await Deno.lstat(path).then(() => true, () => false)) yield* isLast ? [path] : walk(path, segments, at + 1);
  } else {
    for (const { name } of await entriesOf(folder)) {
      if (segment.test(name)) yield* isLast ? [join(name)] : walk(join(name), segments, at + 1);
    }
  }
}

/** What is in a folder; nothing, if it is none. */
async function entriesOf(folder: string): Promise<Deno.DirEntry[]> {
  if (!await isFolder(folder)) return [];
  return await Array.fromAsync(Deno.readDir(folder)).catch((error) => {
    throw ioError(error, "read", folder);
  });
}

function isFolder(path: string): Promise<boolean> {
  return Deno.stat(path).then((info) => info.isDirectory, () => false);
}

/**
 * The words that a pattern's braces stand for, as bash has them: `a{b,c{d,}}` is `ab`, `acd` and `ac`; `{1..3}` counts.
 * Braces without a comma are themselves.
 */
export function expandBraces(word: string): string[] {
  for (let at = 0; at < word.length; at++) {
    if (word[at] === "\\") at++;
    else if (word[at] === "{") {
      const inner = bracesAt(word, at);
      const choices = inner === undefined
        ? undefined
        : inner.choices.length > 1
        ? inner.choices.flatMap(expandBraces)
        : counted(inner.choices[0]);
      if (inner === undefined || choices === undefined) continue;
      const before = word.slice(0, at), after = expandBraces(word.slice(inner.end));
      if (choices.length * after.length > MOST_WORDS) {
        throw new ClozeError("input", `the braces of ${word} stand for more than ${MOST_WORDS} names`);
      }
      return choices.flatMap((choice) => after.map((rest) => before + choice + rest));
    }
  }
  return [word];
}

/** The parts between the commas of the braces that open at `from`; undefined if they are not closed. */
function bracesAt(word: string, from: number): { choices: string[]; end: number } | undefined {
  const choices: string[] = [];
  let depth = 0, begin = from + 1;
  for (let at = from; at < word.length; at++) {
    const character = word[at];
    if (character === "\\") at++;
    else if (character === "{") depth++;
    else if (character === "," && depth === 1) {
      choices.push(word.slice(begin, at));
      begin = at + 1;
    } else if (character === "}" && --depth === 0) {
      return { choices: [...choices, word.slice(begin, at)], end: at + 1 };
    }
  }
}

/** `1..3`, `01..10..3` or `a..e` as a list; undefined if it is none. */
function counted(text: string): string[] | undefined {
  const [, first, last, step] = /^(-?\d{1,15}|[A-Za-z])\.\.(-?\d{1,15}|[A-Za-z])(?:\.\.(-?\d{1,9}))?$/.exec(text) ?? [];
  if (first === undefined || /\d/.test(first) !== /\d/.test(last)) return undefined;
  const isNumber = /\d/.test(first);
  const [from, to] = [first, last].map((end) => isNumber ? Number(end) : end.codePointAt(0)!);
  const by = Math.abs(Number(step ?? 1)) || 1, count = Math.floor(Math.abs(to - from) / by) + 1;
  if (count > MOST_WORDS) throw new ClozeError("input", `{${text}} stands for more than ${MOST_WORDS} names`);
  const width = [first, last].some((end) => /^-?0\d/.test(end)) ? Math.max(first.length, last.length) : 0;
  return Array.from({ length: count }, (_, i) => {
    const value = from + (to >= from ? i * by : -i * by);
    if (!isNumber) return String.fromCodePoint(value);
    return (value < 0 ? "-" : "") + String(Math.abs(value)).padStart(value < 0 ? width - 1 : width, "0");
  });
}

/** A name of a pattern. */
function compile(part: string, pattern: string, dots = false): Segment {
  if (part === "**") return ANY_FOLDERS;
  if (!/[*?[]/.test(part.replace(/\\./gs, ""))) return part.replace(/\\(.?)/gs, "$1");
  const hidden = dots || part.startsWith(".") || part.startsWith("\\.");
  const characters = [...part];
  let source = hidden ? "^" : "^(?!\\.)";
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at];
    if (character === "*") source += ".*";
    else if (character === "?") source += ".";
    else if (character === "[") {
      const bracket = bracketAt(characters, at, pattern);
      source += bracket.source;
      at = bracket.end;
    } else if (character === "\\") source += literal(characters[++at] ?? "");
    else source += literal(character);
  }
  return new RegExp(source.replace(/(\.\*)+/g, ".*") + "$", "su");
}

/** The set of characters in brackets that open at `from`, as a regular expression, and where they end. */
function bracketAt(
  characters: readonly string[],
  from: number,
  pattern: string,
): { source: string; end: number } {
  let at = from + 1, set = "";
  const isNegated = characters[at] === "!" || characters[at] === "^";
  if (isNegated) at++;
  for (const begin = at; at < characters.length; at++) {
    if (characters[at] === "]" && at > begin) {
      // An empty set, of a range that runs backwards, matches nothing.
      return { source: set === "" ? (isNegated ? "." : "(?!)") : `[${isNegated ? "^" : ""}${set}]`, end: at };
    }
    const name = /^\[:([a-z]+):\]/.exec(characters.slice(at, at + 12).join(""))?.[1];
    if (name !== undefined && CLASSES[name] !== undefined) {
      set += CLASSES[name];
      at += name.length + 3;
      continue;
    }
    if (characters[at] === "\\") at++;
    const first = characters[at] ?? "";
    let last = first;
    if (characters[at + 1] === "-" && at + 2 < characters.length && characters[at + 2] !== "]") {
      at += characters[at + 2] === "\\" ? 3 : 2;
      last = characters[at] ?? "";
    }
    if (first !== "" && last !== "" && first.codePointAt(0)! <= last.codePointAt(0)!) {
      set += `${literal(first)}-${literal(last)}`;
    }
  }
  throw new ClozeError("input", `${pattern} has a bracket that is not closed`, {
    hint: "close it with ], or write \\[ for the character itself",
  });
}

/** POSIX's classes of characters. */
const CLASSES: Record<string, string> = {
  alpha: "\\p{L}",
  digit: "0-9",
  alnum: "\\p{L}\\p{Nd}",
  upper: "\\p{Lu}",
  lower: "\\p{Ll}",
  space: "\\s",
  blank: " \\t",
  punct: "!-\\/:-@\\[-`\\{-~",
  xdigit: "0-9A-Fa-f",
};

/** A character as itself in a regular expression, also within a set. */
function literal(character: string): string {
  return /^[A-Za-z0-9]?$/.test(character) ? character : `\\u{${character.codePointAt(0)!.toString(16)}}`;
}
