/**
 * Text files → documents of sentences. Streams: a file never has to fit in memory. Knows no tokenizer. Used by the
 * commands to count words and to write shards.
 */

import { ClozeError, ioError, messageOf } from "../config/cloze_error.ts";

/** A document: its sentences, one a line in the file. */
export type Document = string[];

/** How much of a file decides whether it has blank lines between documents. */
const PROBE = 1 << 16;
/** Longer lines are no sentences. */
const LONGEST_LINE = 1 << 20;

/**
 * Files behind paths, folders (all `.txt` and `.txt.gz` in them) and globs, sorted and without repetition.
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
      for await (const file of filesIn(absolute)) if (/\.txt(\.gz)?$/.test(file)) found.add(file);
      if (found.size === before) throw new ClozeError("input", `the folder ${path} has no .txt or .txt.gz file in it`);
    } else if (info !== undefined) {
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

/**
 * Documents of the files in order. Blank lines separate documents; in a file without a blank line in its first 64 KiB
 * every line is a document. Byte order marks and carriage returns are dropped, and so is white space around a line.
 *
 * @throws {ClozeError} `input` for what is no text: not UTF-8, NUL bytes, a broken gzip, an empty file; `io` otherwise.
 */
export async function* readDocuments(files: readonly string[]): AsyncGenerator<Document> {
  for (const file of files) {
    let any = false;
    for await (const document of documentsOf(file)) {
      any = true;
      yield document;
    }
    if (!any) throw new ClozeError("input", `the data file ${file} has no text in it`);
  }
}

async function* documentsOf(file: string): AsyncGenerator<Document> {
  let document: Document = [];
  let perLine: boolean | undefined;
  const probe: string[] = [];
  let probed = 0;
  const take = function* (line: string): Generator<Document> {
    if (line !== "") document.push(line);
    if ((perLine || line === "") && document.length > 0) {
      yield document;
      document = [];
    }
  };
  const decide = function* (): Generator<Document> {
    const lastText = probe.findLastIndex((line) => line !== "");
    perLine = !probe.slice(0, lastText + 1).includes("", probe.findIndex((line) => line !== ""));
    for (const line of probe.splice(0)) yield* take(line);
  };
  for await (const line of lines(file)) {
    if (perLine !== undefined) {
      yield* take(line);
      continue;
    }
    probe.push(line);
    if ((probed += line.length + 1) >= PROBE) yield* decide();
  }
  if (perLine === undefined) yield* decide();
  if (document.length > 0) yield document;
}

async function* lines(file: string): AsyncGenerator<string> {
  let rest = "";
  let number = 0;
  for await (const text of decoded(file, () => number)) {
    const parts = (rest + text).split("\n");
    rest = parts.pop()!;
    if (rest.length > LONGEST_LINE) {
      throw new ClozeError(
        "input",
        `${file}: line ${number + parts.length + 1} is longer than ${LONGEST_LINE} characters`,
        {
          hint: "put one sentence on a line",
        },
      );
    }
    for (const line of parts) {
      number++;
      yield line.trim();
    }
  }
  if (rest !== "") yield rest.trim();
}

/** The file's text in pieces, checked. `line` tells how many lines are done. */
async function* decoded(file: string, line: () => number): AsyncGenerator<string> {
  const opened = await Deno.open(file).catch((error) => {
    throw ioError(error, "read", file);
  });
  const zipped = file.endsWith(".gz");
  const stream: ReadableStream<Uint8Array<ArrayBuffer>> = zipped
    ? opened.readable.pipeThrough(new DecompressionStream("gzip"))
    : opened.readable;
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const decode = (bytes?: Uint8Array<ArrayBuffer>) => {
    try {
      return bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true });
    } catch (error) {
      throw new ClozeError(
        "input",
        `${file} is not UTF-8 text: a byte sequence at or after line ${line() + 1} is invalid`,
        {
          hint: "convert it first, for example with: iconv -f CP949 -t UTF-8",
          cause: error,
        },
      );
    }
  };
  try {
    for await (const bytes of stream) {
      if (bytes.includes(0)) {
        throw new ClozeError("input", `${file} is not a text file: it has a NUL byte at or after line ${line() + 1}`);
      }
      yield decode(bytes);
    }
    yield decode();
  } catch (error) {
    if (error instanceof ClozeError) throw error;
    if (zipped) {
      throw new ClozeError("input", `${file} is a broken gzip file: ${messageOf(error)}`, {
        hint: "it may be cut off: copy or download it again",
        cause: error,
      });
    }
    throw ioError(error, "read", file);
  }
}
