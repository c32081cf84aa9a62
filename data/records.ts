/**
 * Files of records → the values of the columns that are asked for: JSON Lines, JSON, CSV, TSV and Parquet, each read by a file
 * of its own. Does not know what the columns mean. Used by `corpus.ts`, which asks for one, and by `labeled.ts`, which
 * asks for two.
 */

import { readBytes } from "./bytes.ts";
import { readJson, readJsonLines } from "./json_records.ts";
import { countLines, readLines } from "./lines.ts";
import { readParquet } from "./parquet.ts";
import type { FileRecord, RecordOptions, RecordSource } from "./record.ts";
import { readTable } from "./table_records.ts";

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
