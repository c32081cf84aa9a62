/**
 * Paths, folders and globs → the files of a corpus, and a word about what is left out. Links are followed, and each file
 * counts once. Used by the commands.
 */

import { ClozeError, ioError } from "../config/cloze_error.ts";
import { kindOf } from "../config/regular_file.ts";
import { readBytes } from "./bytes.ts";
import { glob, hasGlob, pathMatcher } from "./glob.ts";
import { binaryStructure, textStructure } from "./known_structure.ts";
import { modelMarker } from "./model_marker.ts";
import { hasKnownEnding } from "./sources.ts";

/** How files are looked for. */
export interface FindOptions {
  /** Globs of what is left out: of a path's last name, or with a slash of the path below the folder that is given. */
  exclude?: readonly string[];
  /** Whether the files are read once only, so that a named pipe can be one of them. */
  once?: boolean;
  /** Whether folders can be given, for all files in them. By default they can. */
  folders?: boolean;
  /** Whether the format is known of files whose names do not tell it. */
  isFormatGiven?: boolean;
  /** Takes the exclusions that left something out; without it, one that leaves nothing out is an error. */
  used?: Set<string>;
  /** Told what a person should know: what is left out, what is taken for plain text. */
  onNote?: (text: string) => void;
}

/**
 * Files behind paths, folders (all files of known formats in them, but none that is hidden or belongs to a model) and
 * globs, sorted and without repetition. A path that exists is itself, even if it looks like a glob.
 *
 * @throws {ClozeError} `input` if a path matches nothing or is no text, `usage` if an exclusion excludes nothing, `io`.
 */
export async function expandPaths(
  paths: readonly string[],
  cwd: string,
  options: FindOptions = {},
): Promise<string[]> {
  const search = new Search(cwd, options);
  for (const path of paths) await search.add(path);
  return search.finish();
}

/** How much of a file says what it is. */
const BEGINNING = 1 << 16;

class Search {
  readonly #cwd: string;
  readonly #options: FindOptions;
  readonly #excluders: { pattern: string; matches: (path: string) => boolean; used: boolean }[];
  /** By real path, the path as it was found. */
  readonly #files = new Map<string, string>();
  /** Of folders by real path, how many files of them are text; 0 of one that is being read. */
  readonly #visited = new Map<string, number>();
  readonly #plain: string[] = [];
  #isAsked = false;
  /** Folders that were given and have no text in them. */
  readonly #without: { shown: string; others: string }[] = [];

  constructor(cwd: string, options: FindOptions) {
    this.#cwd = cwd;
    this.#options = options;
    this.#excluders = (options.exclude ?? []).map((pattern) => ({
      pattern,
      matches: pathMatcher(pattern),
      used: false,
    }));
  }

  async add(path: string): Promise<void> {
    this.#isAsked = true;
    const absolute = path.startsWith("/") || /^[A-Za-z]:[\\/]/.test(path) ? path : `${this.#cwd}/${path}`;
    const info = await statOf(absolute);
    if (info?.isDirectory) return await this.#addGiven(absolute, path, info);
    if (info !== undefined) return await this.#addNamed(absolute, path, info);
    const link = await Deno.readLink(absolute).catch(() => undefined);
    if (link !== undefined) throw new ClozeError("input", `${path} is a link to ${link}, which does not exist`);
    if (!hasGlob(path)) {
      throw new ClozeError("input", `the data file ${path} does not exist`, { hint: `looked in ${this.#cwd}` });
    }
    const matches = await glob(path, this.#cwd);
    if (matches.length === 0) {
      throw new ClozeError("input", `no file matches ${path}`, { hint: `looked in ${this.#cwd}` });
    }
    for (const match of matches) {
      const shown = path.startsWith("/") ? match : match.slice(this.#cwd.length + 1);
      const info = await statOf(match);
      if (info === undefined) throw new ClozeError("input", `${shown} is a link to what does not exist`);
      if (info.isDirectory) await this.#addGiven(match, shown, info);
      else await this.#addNamed(match, shown, info);
    }
  }

  /** A folder that is given, by name or by a glob. */
  async #addGiven(path: string, shown: string, _info: Deno.FileInfo): Promise<void> {
    if (this.#options.folders === false) {
      throw new ClozeError("input", `${shown} is a folder, not a file`, { hint: `give its files: ${shown}/*` });
    }
    const entries = await entriesOf(path);
    const marker = await modelMarker(path, entries.map(({ name }) => name));
    if (marker !== undefined) {
      throw new ClozeError("input", `the folder ${shown} is a model's or a tokenizer's (it has ${marker}), not text`, {
        hint: "give the folder of the text, or name the files in this one that are text",
      });
    }
    const leftOut = new LeftOut();
    const found = await this.#walk(path, "", await realPath(path), entries, leftOut);
    const others = leftOut.toString();
    if (found === 0) this.#without.push({ shown, others });
    else if (others !== "") this.#note(`left out of ${shown}: ${others}`);
  }

  /** Adds what is in a folder; returns how many files of it are text. */
  async #walk(
    folder: string,
    below: string,
    real: string,
    entries: Deno.DirEntry[],
    leftOut: LeftOut,
  ): Promise<number> {
    const before = this.#visited.get(real);
    if (before !== undefined) return before;
    this.#visited.set(real, 0);
    let found = 0;
    for (const { name, isSymlink } of entries.sort((a, b) => a.name < b.name ? -1 : 1)) {
      const path = `${folder.replace(/\/$/, "")}/${name}`, relative = `${below}${name}`;
      if (this.#isExcluded(relative)) continue;
      if (name.startsWith(".")) {
        leftOut.add("hidden");
        continue;
      }
      const info = await statOf(path, isSymlink);
      if (info === undefined) {
        leftOut.add("broken link", path);
        continue;
      }
      const target = isSymlink ? await realPath(path) : `${real.replace(/\/$/, "")}/${name}`;
      if (info.isDirectory) {
        const inside = await entriesOf(path);
        const marker = await modelMarker(path, inside.map(({ name }) => name));
        if (marker !== undefined) leftOut.add("folder of a model or tokenizer", `${relative} with ${marker}`);
        else found += await this.#walk(path, `${relative}/`, target, inside, leftOut);
      } else if (!info.isFile) throw notAFile(path, info, `leave it out: --exclude ${name}`);
      else if (hasKnownEnding(path) || hasKnownEnding(target)) {
        this.#take(hasKnownEnding(path) ? path : target, target);
        found++;
      } else leftOut.add(/.(\.\w{1,12})$/.exec(name)?.[1] ?? "without an ending");
    }
    this.#visited.set(real, found);
    return found;
  }

  /** A file that is given, by name or by a glob. */
  async #addNamed(path: string, shown: string, info: Deno.FileInfo): Promise<void> {
    if (this.#isExcluded(shown.replace(/^.*\//, ""))) return;
    if (!info.isFile && !(this.#options.once && info.isFifo)) {
      const hint = info.isFifo
        ? "give - and pipe the text into standard input"
        : "give a file, or - for standard input";
      throw notAFile(shown, info, hint);
    }
    const real = info.isFifo ? path : await realPath(path); // what is behind /dev/fd/3 has no path
    if (info.isFile && this.#files.has(real)) {
      return this.#take(hasKnownEnding(path) ? path : this.#files.get(real)!, real);
    }
    if (info.isFifo || hasKnownEnding(path)) {
      if (/(^|\/)vocab\.txt$/.test(path) && await modelMarker(path.replace(/\/[^/]*$/, ""), ["vocab.txt"])) {
        throw new ClozeError("input", `${shown} is a tokenizer's vocabulary, not text`, {
          hint: "if it is to be read as text, give it another name",
        });
      }
      return this.#take(path, real);
    }
    if (hasKnownEnding(real)) return this.#take(real, real);
    if (!this.#options.isFormatGiven) {
      await refuseStructure(path, shown);
      this.#plain.push(shown);
    }
    this.#take(path, real);
  }

  #take(path: string, real: string): void {
    const before = this.#files.get(real);
    if (before === undefined || path < before) this.#files.set(real, path);
  }

  #isExcluded(relative: string): boolean {
    let excluded = false;
    for (const excluder of this.#excluders) {
      if (!excluder.matches(relative)) continue;
      excluder.used = excluded = true;
      this.#options.used?.add(excluder.pattern);
    }
    return excluded;
  }

  #note(text: string): void {
    this.#options.onNote?.(text);
  }

  /** A folder without text is a note where there is text elsewhere. */
  #checkFolders(): void {
    const [first] = this.#without, more = this.#without.length - 1;
    if (this.#files.size > 0) {
      if (first !== undefined) {
        this.#note(`without text: the folder ${first.shown}${more === 0 ? "" : ` and ${more} more`}`);
      }
    } else if (first !== undefined) {
      const { shown, others } = first;
      const what = `the folder ${shown} has no .txt, .jsonl, .json, .csv, .tsv or .parquet file in it`;
      throw new ClozeError("input", what, {
        hint: others === "" ? undefined : `it has ${others}; a file whose ending is not known can be given by its name`,
      });
    } else if (this.#excluders.length > 0 && this.#options.used === undefined && this.#isAsked) {
      throw new ClozeError("usage", `--exclude ${this.#excluders[0].pattern} leaves nothing of what is given`);
    }
  }

  finish(): string[] {
    const idle = this.#excluders.find(({ used }) => !used);
    if (idle !== undefined && this.#options.used === undefined) throw idleExclusion(idle.pattern);
    this.#checkFolders();
    if (this.#plain.length > 0) {
      const [first] = this.#plain, more = this.#plain.length - 1;
      this.#note(`${first}${more === 0 ? "" : ` and ${more} more without a known ending`}: read as plain text`);
    }
    return [...this.#files.values()].sort();
  }
}

/** Counts what is left out of a folder, by what it is. */
class LeftOut {
  readonly #counts = new Map<string, { count: number; first: string | undefined }>();

  /** @param example one of them, to be named. */
  add(what: string, example?: string): void {
    const before = this.#counts.get(what);
    if (before === undefined) this.#counts.set(what, { count: 1, first: example });
    else before.count++;
  }

  toString(): string {
    return [...this.#counts].sort(([, a], [, b]) => b.count - a.count)
      .map(([what, { count, first }]) =>
        `${count} ${what}${first === undefined ? "" : ` (${first}${count > 1 ? ", …" : ""})`}`
      )
      .join(", ");
  }
}

/** Of a `--exclude` that leaves nothing out. */
export function idleExclusion(pattern: string): ClozeError {
  return new ClozeError("usage", `--exclude ${pattern} excludes nothing of what is given`, {
    hint: "it is matched with names, or with a slash in it with paths below the folder that is given",
  });
}

function notAFile(shown: string, info: Deno.FileInfo, hint: string): ClozeError {
  return new ClozeError("input", `${shown} is ${kindOf(info)}, not a file`, { hint });
}

/** What is at a path, or undefined if nothing is. @param loops whether a link that leads to itself is nothing. */
function statOf(path: string, loops = false): Promise<Deno.FileInfo | undefined> {
  return Deno.stat(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound || (loops && error instanceof Deno.errors.FilesystemLoop)) {
      return undefined;
    }
    throw ioError(error, "read", path);
  });
}

function realPath(path: string): Promise<string> {
  return Deno.realPath(path).catch((error) => {
    throw ioError(error, "read", path);
  });
}

function entriesOf(folder: string): Promise<Deno.DirEntry[]> {
  return Array.fromAsync(Deno.readDir(folder)).catch((error) => {
    throw ioError(error, "read the folder", folder);
  });
}

/**
 * Refuses a file without a known ending that is not plain text.
 *
 * @param shown what it is called in messages.
 * @throws {ClozeError} `input`, `io`
 */
export async function refuseStructure(file: string, shown: string): Promise<void> {
  const structure = await structureOf(file);
  if (structure === undefined) return;
  throw new ClozeError("input", `${shown} is not plain text: it looks like ${structure.what}`, {
    hint: structure.hint,
  });
}

/** What the beginning of a file without a known ending says, if it is not plain text. */
async function structureOf(file: string): Promise<{ what: string; hint: string } | undefined> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of readBytes(file)) {
    parts.push(chunk.slice(0, BEGINNING - length));
    length += parts[parts.length - 1].length;
    if (length >= BEGINNING) break;
  }
  const bytes = new Uint8Array(length);
  for (let at = 0; parts.length > 0; at += parts.shift()!.length) bytes.set(parts[0], at);
  const binary = binaryStructure(bytes);
  if (binary !== undefined) return binary;
  if (bytes.includes(0)) return { what: "a binary file: it has NUL bytes", hint: "give files of text" };
  return textStructure(new TextDecoder().decode(bytes));
}
