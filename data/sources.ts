/**
 * Which files a corpus consists of and what is in them: paths, folders and globs → files, by name → format and
 * compression. Reads no content. Used by `corpus.ts` and the commands.
 */

import { ClozeError, ioError } from "../config/cloze_error.ts";

/** What a file holds, by its name. */
export type Format = "text" | "jsonl" | "csv" | "tsv" | "parquet";

/** How a file is compressed, by its name. */
export type Compression = "none" | "gzip" | "zstd";

const FORMATS: Record<string, Format> = {
  txt: "text",
  jsonl: "jsonl",
  ndjson: "jsonl",
  csv: "csv",
  tsv: "tsv",
  parquet: "parquet",
};
const COMPRESSIONS: Record<string, Compression> = { gz: "gzip", zst: "zstd" };
const KNOWN = new RegExp(`\\.(${Object.keys(FORMATS).join("|")})(\\.(${Object.keys(COMPRESSIONS).join("|")}))?$`, "i");

/** Format and compression of a file; what has no known ending is plain text. */
export function sourceKind(file: string): { format: Format; compression: Compression } {
  const endings = file.toLowerCase().replace(/^.*[/\\]/, "").split(".");
  const compression = COMPRESSIONS[endings[endings.length - 1]];
  if (compression !== undefined) endings.pop();
  return { format: FORMATS[endings[endings.length - 1]] ?? "text", compression: compression ?? "none" };
}

/**
 * Files behind paths, folders (all files of known formats in them) and globs, sorted and without repetition.
 *
 * @throws {ClozeError} `input` if a path matches nothing.
 */
export async function expandPaths(paths: readonly string[], cwd: string): Promise<string[]> {
  const found = new Set<string>();
  for (const path of paths) {
    const absolute = path.startsWith("/") || /^[A-Za-z]:[\\/]/.test(path) ? path : `${cwd}/${path}`;
    const info = await Deno.stat(absolute).catch((error) => {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw ioError(error, "read", absolute);
    });
    const before = found.size;
    if (info?.isDirectory) {
      for await (const file of filesIn(absolute)) if (KNOWN.test(file)) found.add(file);
      if (found.size === before) {
        throw new ClozeError("input", `the folder ${path} has no .txt, .jsonl, .csv, .tsv or .parquet file in it`);
      }
    } else if (info !== undefined) {
      if (!info.isFile) {
        throw new ClozeError(
          "input",
          `${path} is no file: text is read more than once, so a pipe cannot be given by name`,
          {
            hint: "give - and pipe the text into standard input",
          },
        );
      }
      found.add(absolute);
    } else if (/[*?[{]/.test(path)) {
      for await (const file of glob(absolute)) found.add(file);
      if (found.size === before) throw new ClozeError("input", `no file matches ${path}`);
    } else {
      throw new ClozeError("input", `the data file ${path} does not exist`, { hint: `looked in ${cwd}` });
    }
  }
  return [...found].sort();
}

async function* filesIn(folder: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder.replace(/\/$/, "")}/${entry.name}`;
    if (entry.isDirectory) yield* filesIn(path);
    else yield path;
  }
}

async function* glob(pattern: string): AsyncGenerator<string> {
  const parts = pattern.split("/");
  const fixed = parts.findIndex((part) => /[*?[{]/.test(part));
  const base = parts.slice(0, fixed).join("/") || "/";
  const expression = new RegExp(
    "^" + pattern.replace(/[.+^$()|\\]/g, "\\$&")
      .replace(
        /\*\*\/|\*|\?|\{([^}]*)\}/g,
        (token, choices) =>
          token === "**/"
            ? "(?:.*/)?"
            : token === "*"
            ? "[^/]*"
            : token === "?"
            ? "[^/]"
            : `(?:${choices.replace(/,/g, "|")})`,
      ) +
      "$",
  );
  try {
    for await (const file of filesIn(base)) if (expression.test(file)) yield file;
  } catch (error) {
    throw ioError(error, "read", base);
  }
}
