/**
 * Files of records → the values of the columns that are asked for: JSON Lines, JSON, CSV, TSV and Parquet, each read by a file
 * of its own. Does not know what the columns mean. Used by `corpus.ts`, which asks for one, and by `labeled.ts`, which
 * asks for two.
 */

import type { CorpusConfig } from "../config/batch_config.ts";
import { readBytes } from "./bytes.ts";
import type { CorpusReport } from "./corpus_report.ts";
import { readJson, readJsonLines } from "./json_records.ts";
import { countLines, readLines } from "./lines.ts";
import { readParquet } from "./parquet.ts";
import type { Format } from "./sources.ts";
import { readTable } from "./table_records.ts";

/** A file of records, or of JSON Lines a range of its bytes. */
export interface RecordSource {
  file: string;
  format: Exclude<Format, "text">;
  from: number;
  to: number;
}

/** How records are read. */
export interface RecordOptions {
  config: CorpusConfig;
  /** Counts what is not valid UTF-8, what is left out, and files whose quotes are text. */
  report: Pick<CorpusReport, "invalid" | "malformed" | "unquoted">;
  /**
   * The columns, or fields, that are asked for: by name, or in a CSV or TSV file without names by number from 1; several
   * with commas between them become lines of one text. Is told which there are, for JSON of each record.
   */
  columns: (names: readonly string[]) => readonly string[];
  /** Which flags say so, for messages. */
  hint: string;
}

/** A record. */
export interface FileRecord {
  /** Values of the columns that were asked for: text in CSV and TSV, anything else where the format has types. */
  values: readonly unknown[];
  /** Where it is, for messages: its line or row, asked for only by these. */
  place: () => Promise<string>;
}

/**
 * The records of a file, in blocks.
 *
 * @throws {ClozeError} `io`, or `input` naming the file, and the line or the row, of what is no such record.
 */
export async function* readRecords(source: RecordSource, options: RecordOptions): AsyncGenerator<FileRecord[]> {
  const { file, format, from, to } = source;
  if (format === "parquet") return yield* readParquet(file, options);
  if (format === "json") return yield* readJson(file, options);
  if (format !== "jsonl") return yield* readTable(file, format, options);
  const { on_invalid } = options.config;
  const onInvalid = () => options.report.invalid++;
  const linesBefore = () => linesTo(file, from);
  const lines = readLines(readBytes(file, from, to), { file, on_invalid, onInvalid, linesBefore, atStart: from === 0 });
  yield* readJsonLines(lines, file, options, linesBefore);
}

/** Lines before a byte of a file. */
export async function linesTo(file: string, to: number): Promise<number> {
  let lines = 0;
  if (to > 0) { for await (const chunk of readBytes(file, 0, to)) lines += countLines(chunk); }
  return lines;
}
