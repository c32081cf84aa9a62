/** The corpus that a command's flags name: files, how they are read, standard input, and what is said of what was found. */

import { createHash } from "node:crypto";
import { CORPUS_DEFAULTS, type CorpusConfig } from "../config/batch_config.ts";
import { program } from "../config/called.ts";
import { ClozeError, ioError } from "../config/cloze_error.ts";
import { exists } from "../config/folder.ts";
import { counted, grouped, percent } from "../config/numbers.ts";
import { fileHash } from "../config/sha256.ts";
import { folderOf, writeAll, writeWith } from "../config/whole_file.ts";
import {
  type CorpusCounts,
  expandPaths,
  type FindOptions,
  packedWith,
  refuseStructure,
  sourceKind,
} from "../data/mod.ts";
import type { Values } from "./flags/flag.ts";
import { type CORPUS_FLAGS, TEXT_FLAGS } from "./flags/text_flags.ts";
import { callerFolder } from "./paths.ts";
import { note } from "./terminal.ts";

/** The flags that say how text is read. */
export type TextValues = Values<typeof TEXT_FLAGS & Pick<typeof CORPUS_FLAGS, "documents">>;
type TextFlag = keyof TextValues;

/** The flags that say which files are read, and how. */
export type CorpusValues = Omit<Values<typeof CORPUS_FLAGS>, "data">;

/** How the flags say that text is read. */
export function corpusConfig(values: TextValues): CorpusConfig {
  const { format, delimiter, quoting, documents } = values;
  return {
    text_column: textColumn(values) ?? CORPUS_DEFAULTS.text_column,
    on_invalid: values["on-invalid"] ?? CORPUS_DEFAULTS.on_invalid,
    ...(format === undefined ? {} : { format }),
    ...(delimiter === undefined ? {} : { delimiter }),
    ...(quoting === undefined ? {} : { quoting }),
    ...(documents === undefined ? {} : { documents }),
  };
}

/** The column of the text, if one of its two flags gives it. */
export function textColumn({ "text-column": column, "text-field": field }: TextValues): string | undefined {
  if (column !== undefined && field !== undefined && column !== field) {
    throw new ClozeError("usage", "--text-column and --text-field both name the column of the text: give one of them");
  }
  return column ?? field;
}

/**
 * Refuses flags that apply to none of the files: nothing would say that they were passed over.
 *
 * @throws {ClozeError} `usage`
 */
export function checkTextFlags(values: TextValues, files: readonly string[]): void {
  const given = givenTextFlags(values);
  if (given.length > 0 && files.length === 0) {
    throw new ClozeError("usage", `--${given[0]} says how text is read, but no text is given`, {
      hint: "give files with --data",
    });
  }
  const used = textFlagsFor(values, files);
  const other = given.find((name) => !used.includes(name));
  if (other !== undefined) throw useless(other, files);
}

/** Those of the given flags that apply to any of the files. */
export function textFlagsFor(values: TextValues, files: readonly string[]): TextFlag[] {
  return givenTextFlags(values).filter((name) => files.some((file) => isFor(name, file, values.format)));
}

/** Those of the flags that are given. */
export function givenTextFlags(values: TextValues): TextFlag[] {
  return ([...Object.keys(TEXT_FLAGS), "documents"] as TextFlag[]).filter((name) => values[name] !== undefined);
}

function isFor(name: TextFlag, file: string, otherwise: TextValues["format"]): boolean {
  const { format, isNamed } = sourceKind(file, otherwise);
  if (name === "on-invalid") return true;
  if (name === "format") return !isNamed;
  if (name === "documents") return format === "text";
  if (name === "delimiter" || name === "quoting") return format === "csv" || format === "tsv";
  return format !== "text";
}

/** What is said of a flag that applies to none of the files. */
export function useless(name: TextFlag | "pair-column", files: readonly string[]): ClozeError {
  const names = [...new Set(files.map((file) => isStdin(file) ? "standard input" : file.replace(/^.*[/\\]/, "")))];
  const list = names.slice(0, 3).join(", ") + (names.length > 3 ? ", …" : "");
  if (name === "format") {
    return new ClozeError(
      "usage",
      `--format is for files whose names do not tell what they are, but there is ${list}`,
      {
        hint: "leave it out",
      },
    );
  }
  if (name === "documents") {
    return new ClozeError("usage", `--documents is for plain text, but there is ${list}: each record is a document`, {
      hint: "leave it out",
    });
  }
  const what = name === "delimiter" || name === "quoting" ? ".csv and .tsv files" : "tables and JSON records";
  return new ClozeError("usage", `--${name} is for ${what}, but there is ${list}`, {
    hint: `leave it out, or say what files are whose names do not tell, and standard input: --format ${
      what.startsWith(".") ? "csv" : "jsonl"
    }`,
  });
}

/** What `-` stands for among paths. */
const STDIN = "-";
/** The name of the file that it becomes. Has no ending: `--format` says what it is. */
const STDIN_FILE = "stdin";

const isStdin = (file: string) => file.endsWith(`/${STDIN_FILE}`);

/**
 * The files behind paths. Text is read more than once, so that standard input, `-`, becomes a file: `stdin` is its path,
 * which {@linkcode saveStdin} has to fill.
 *
 * @param others files that the flags are for, too.
 */
export async function corpusFiles(
  paths: readonly string[],
  values: CorpusValues,
  folder: string,
  others: readonly string[] = [],
): Promise<{ files: string[]; stdin?: string }> {
  const files = await findFiles(paths.filter((path) => path !== STDIN), values);
  const stdin = paths.includes(STDIN) ? `${folder}/${STDIN_FILE}` : undefined;
  if (stdin !== undefined) files.push(stdin);
  checkTextFlags(values, [...files, ...others]);
  return { files, ...(stdin === undefined ? {} : { stdin }) };
}

/** The files behind paths, as the flags have it; says what is left out. */
export function findFiles(paths: readonly string[], values: CorpusValues): Promise<string[]> {
  return expandPaths(paths, callerFolder(), { ...findOptions(values), onNote: note });
}

/** How files are looked for, as the flags have it. */
export function findOptions({ exclude = [], format }: CorpusValues): FindOptions {
  return { exclude, isFormatGiven: format !== undefined };
}

/**
 * The files of a flag for other text than --data, such as --valid, read like --data. What --exclude leaves out is of --data.
 *
 * @throws {ClozeError} `usage`, `input`
 */
export async function otherFiles(flag: string, paths: readonly string[], values: CorpusValues): Promise<string[]> {
  if (paths.includes(STDIN)) throw new ClozeError("usage", `--${flag} takes files, not standard input (-)`);
  return await findFiles(paths, { ...values, exclude: [] });
}

/**
 * Refuses text to measure on that is trained on.
 *
 * @throws {ClozeError} `input` if it is the same file, `usage` where nothing of one's own is trained on.
 */
export async function checkApart(
  valid: readonly string[],
  data: readonly string[],
  [measured, trainedOn]: readonly [measured: string, trainedOn: string] = ["valid", "data"],
): Promise<void> {
  if (data.length === 0) {
    throw new ClozeError("usage", "--valid is text to measure on, but the practice corpus is trained on", {
      hint: "give the text to train on with --data PATH…",
    });
  }
  const real = (path: string) => Deno.realPath(path).catch(() => path); // standard input is no file yet
  const trained = new Set(await Promise.all(data.map(real)));
  for (const file of valid) {
    if (!trained.has(await real(file))) continue;
    throw new ClozeError(
      "input",
      `${file} is in --${measured} and in --${trainedOn}, but a model is not measured on what it learned`,
      {
        hint: data.length > 1 && trainedOn === "data"
          ? `leave it out of --data: --exclude ${file.replace(/^.*[/\\]/, "")}`
          : "give text that is not trained on",
      },
    );
  }
}

/**
 * Writes standard input to a file, whose folder is made if need be.
 *
 * @throws {ClozeError} `input` for what is no plain text, unless `--format` says what it is; `io`.
 */
export async function saveStdin(path: string, format: TextValues["format"]): Promise<void> {
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
  await refusePacked(path);
  if (format === undefined) await refuseStructure(path, "standard input");
}

/** Refuses standard input that is compressed: it has no name that would say so. */
async function refusePacked(path: string): Promise<void> {
  using file = await Deno.open(path).catch((error) => {
    throw ioError(error, "read", path);
  });
  const beginning = new Uint8Array(16);
  const tool = packedWith(beginning.subarray(0, await file.read(beginning) ?? 0));
  if (tool === undefined) return;
  throw new ClozeError("input", `standard input is compressed: it looks like a ${tool} file`, {
    hint: `unpack it on its way, for example with: ${tool} -dc FILE | ${program()} …`,
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

const noted = new Set<string>();

/** Says something about the text that is found each time it is read, once. */
export function noteOnce(text: string): void {
  if (!noted.has(text)) note(text);
  noted.add(text);
}

/** What was found in a corpus, in one line; what is as it should be is left out. */
export function corpusFindings(counts: CorpusCounts): string {
  const parts = [counted(counts.sentences, "line")];
  if (counts.duplicate_share > 0) parts.push(`${percent(counts.duplicate_share)} of them repeated`);
  parts.push(...readingFindings(counts));
  if (counts.empty > 0) parts.push(`${counted(counts.empty, "record")} without text`);
  if ((counts.in_training ?? 0) > 0) parts.push(`${percent(counts.in_training!)} of them in the training text, too`);
  return parts.join(", ");
}

/** What was wrong with what was read, as far as it is known: shards of version 0.1.0 do not count all of it. */
type Wrong = Pick<CorpusCounts, "invalid"> & Partial<CorpusCounts>;

/** Says what was wrong with what was read, if anything was; for commands that say nothing else of it. */
export function noteFindings(counts: Wrong | null, file = "the text"): void {
  const findings = counts === null ? [] : readingFindings(counts);
  if (findings.length > 0) note(`${file}: ${findings.join(", ")}`);
}

/** The same in words. */
export function readingFindings({ invalid, malformed = 0, unquoted = 0 }: Wrong): string[] {
  const parts: string[] = [];
  if (invalid > 0) parts.push(`${grouped(invalid)} not valid UTF-8`);
  if (malformed > 0) parts.push(`${grouped(malformed)} left out for too many or too few fields`);
  if (unquoted > 0) {
    parts.push(`quotes read as text in ${counted(unquoted, ".tsv file")} (see --quoting)`);
  }
  return parts;
}
