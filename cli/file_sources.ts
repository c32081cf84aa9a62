/**
 * What a command answers line by line: files of lines or of records, found and read as `--data` finds and reads them, and
 * standard input among them. Loaded by `answer_lines.ts` where files are given.
 */

import { ClozeError, ioError } from "../config/cloze_error.ts";
import {
  type ColumnsOf,
  CorpusReport,
  expandPaths,
  idleExclusion,
  readBytes,
  recordTexts,
  sourceKind,
} from "../data/mod.ts";
import { type AnswerSource, linesOf, type SourceValues } from "./answer_source.ts";
import { checkTextFlags, corpusConfig, givenTextFlags, readingFindings, useless } from "./corpus.ts";
import { chunksOf } from "./lines.ts";
import { callerFolder } from "./paths.ts";
import { note } from "./terminal.ts";

/** What `-` stands for among paths. */
const STDIN = "-";
/** Records that are answered in one go. */
const GROUP = 256;

/**
 * What is behind paths, in order, or standard input where there are none; instead of what cannot be read, the reason.
 *
 * @param folders whether all files of a folder are meant by its name, which is refused otherwise.
 * @param columns which columns of records hold the texts, where that is not what `values` say.
 * @throws {ClozeError} `usage` for flags that apply to nothing.
 */
export async function sourcesOf(
  paths: readonly string[],
  values: SourceValues,
  folders: boolean,
  columns?: ColumnsOf,
): Promise<(AnswerSource | ClozeError)[]> {
  const sources: (AnswerSource | ClozeError)[] = [], files: string[] = [];
  const { exclude = [], format } = values, used = new Set<string>();
  const options = { exclude, isFormatGiven: format !== undefined, once: true, folders, used, onNote: note };
  for (const path of paths.length === 0 ? [STDIN] : paths) {
    if (path === STDIN) {
      sources.push(linesOf(paths.length > 1 ? "standard input" : undefined, () => chunksOf(Deno.stdin), values));
      continue;
    }
    try {
      const found = await expandPaths([path], callerFolder(), options);
      files.push(...found);
      const isNamed = found.length === 1;
      const source = async (file: string) => ({
        ...await fileSource(file, isNamed ? path : file, values, columns),
        isNamed,
      });
      sources.push(...await Promise.all(found.map(source)));
    } catch (error) {
      if (!(error instanceof ClozeError) || error.code === "usage") throw error;
      sources.push(error);
    }
  }
  const idle = exclude.find((pattern) => !used.has(pattern));
  if (idle !== undefined) throw idleExclusion(idle);
  const isPairs = values["pair-column"] !== undefined;
  const [given] = [
    ...givenTextFlags(values).filter((name) => name !== "on-invalid"),
    ...(isPairs ? ["pair-column"] : []),
  ];
  if (files.length > 0) {
    checkTextFlags(values, files);
    if (isPairs && !files.some((file) => sourceKind(file, format).format !== "text")) {
      throw useless("pair-column", files);
    }
  } else if (given !== undefined && !sources.some((source) => source instanceof ClozeError)) {
    throw new ClozeError("usage", `--${given} says how files are read, but lines of standard input are answered`, {
      hint: "give the file by name",
    });
  }
  return sources;
}

async function fileSource(
  file: string,
  name: string,
  values: SourceValues,
  columns: ColumnsOf | undefined,
): Promise<AnswerSource> {
  const { isFifo } = await Deno.stat(file).catch((error) => {
    throw ioError(error, "read", file);
  });
  if (isFifo) return linesOf(name, () => pipeOf(file), values);
  const config = corpusConfig(values), { format } = sourceKind(file, values.format);
  if (format === "text") return linesOf(name, () => readBytes(file), values);
  const report = new CorpusReport();
  return {
    name,
    entries: async function* () {
      for await (const records of recordTexts({ file, format, from: 0, to: Infinity }, config, report, columns)) {
        for (let at = 0; at < records.length; at += GROUP) {
          yield await Promise.all(
            records.slice(at, at + GROUP).map(async ({ text, pair, place, wrong, problem }) => ({
              text: text ?? "",
              ...(pair === undefined ? {} : { pair }),
              place,
              ...(wrong === undefined
                ? {}
                : { problem: new ClozeError("input", `it ${wrong}`, { hint: (await problem()).hint }) }),
            })),
          );
        }
      }
    },
    findings: () => readingFindings(report.counts),
  };
}

/** What comes through a named pipe, which can be read once. */
async function* pipeOf(path: string): AsyncGenerator<Uint8Array> {
  try {
    using file = await Deno.open(path);
    yield* chunksOf(file, path);
  } catch (error) {
    throw ioError(error, "read", path);
  }
}
