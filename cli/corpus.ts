/** The corpus that a command's flags name: files, how they are read, standard input, and what is said of what was found. */

import { createHash } from "node:crypto";
import { CORPUS_DEFAULTS, type CorpusConfig } from "../config/batch_config.ts";
import { ioError } from "../config/cloze_error.ts";
import { folderOf, writeAll, writeWith } from "../config/whole_file.ts";
import { type CorpusCounts, expandPaths } from "../data/mod.ts";
import { exists, fileHash } from "../training/files.ts";
import type { Values } from "./flags/flag.ts";
import type { CORPUS_FLAGS } from "./flags/tables.ts";
import { callerFolder } from "./paths.ts";
import { grouped, note, percent } from "./terminal.ts";

/** The flags that say how text is read. */
export type CorpusValues = Omit<Values<typeof CORPUS_FLAGS>, "data">;

/** How the flags say that text is read. */
export function corpusConfig(values: CorpusValues): CorpusConfig {
  return {
    text_field: values["text-field"] ?? CORPUS_DEFAULTS.text_field,
    text_column: values["text-column"] ?? CORPUS_DEFAULTS.text_column,
    on_invalid: values["on-invalid"] ?? CORPUS_DEFAULTS.on_invalid,
  };
}

/** What `-` stands for among paths. */
const STDIN = "-";

/**
 * The files behind paths. Text is read more than once, so that standard input, `-`, becomes a file: `stdin` is its path,
 * which {@linkcode saveStdin} has to fill.
 */
export async function corpusFiles(
  paths: readonly string[],
  values: CorpusValues,
  folder: string,
): Promise<{ files: string[]; stdin?: string }> {
  const files = await findFiles(paths.filter((path) => path !== STDIN), values);
  if (!paths.includes(STDIN)) return { files };
  const ending = values["text-field"] !== undefined ? "jsonl" : values["text-column"] !== undefined ? "csv" : "txt";
  const stdin = `${folder}/stdin.${ending}`;
  return { files: [...files, stdin], stdin };
}

/** The files behind paths, as the flags have it; says what is left out. */
export function findFiles(paths: readonly string[], { exclude = [] }: CorpusValues): Promise<string[]> {
  return expandPaths(paths, callerFolder(), { exclude, onNote: note });
}

/** Writes standard input to a file, whose folder is made if need be. */
export async function saveStdin(path: string): Promise<void> {
  if (Deno.stdin.isTerminal()) note("reading text from the terminal; Ctrl-D ends it");
  await Deno.mkdir(folderOf(path), { recursive: true }).catch((error) => {
    throw ioError(error, "create the folder", folderOf(path));
  });
  await writeWith(path, async (file) => {
    const buffer = new Uint8Array(1 << 16);
    for (let read = await Deno.stdin.read(buffer); read !== null; read = await Deno.stdin.read(buffer)) {
      writeAll(file, buffer.subarray(0, read));
    }
  });
}

/**
 * Reads standard input to its end and compares it with the file that an earlier one became, if that is still there.
 *
 * @returns whether they are the same.
 */
export async function isSameStdin(path: string): Promise<boolean> {
  if (Deno.stdin.isTerminal()) return true; // nobody types a text twice
  const hash = createHash("sha256");
  for await (const bytes of Deno.stdin.readable) hash.update(bytes);
  return !await exists(path) || await fileHash(path) === hash.digest("hex");
}

/** What was found in a corpus, in one line; what is as it should be is left out. */
export function corpusFindings(counts: CorpusCounts): string {
  const parts = [`${grouped(counts.sentences)} lines`];
  if (counts.duplicate_share > 0) parts.push(`${percent(counts.duplicate_share)} of them repeated`);
  if (counts.invalid > 0) parts.push(`${grouped(counts.invalid)} not valid UTF-8`);
  if (counts.empty > 0) parts.push(`${grouped(counts.empty)} records without text`);
  return parts.join(", ");
}
