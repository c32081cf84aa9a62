/**
 * Files of records → the values of the columns that are asked for: JSON Lines, CSV (RFC 4180), TSV (IANA
 * text/tab-separated-values, which has no quotes) and Parquet. Does not know what the columns mean. Used by `corpus.ts`,
 * which asks for one, and by `labeled.ts`, which asks for two.
 */

import type { CorpusConfig } from "../config/batch_config.ts";
import { ClozeError, ioError, messageOf } from "../config/cloze_error.ts";
import { readBytes } from "./bytes.ts";
import { countLines, readLines, SKIPPED, textLines } from "./lines.ts";
import { type Format, sourceKind } from "./sources.ts";

/** A file of records, or of JSON Lines a range of its bytes. */
export interface RecordSource {
  file: string;
  format: Exclude<Format, "text">;
  from: number;
  to: number;
}

/** How records are read. */
export interface RecordOptions {
  on_invalid: CorpusConfig["on_invalid"];
  /** Called for each line that is not valid UTF-8, unless that is an error. */
  onInvalid: () => void;
  /**
   * The columns, or fields, that are asked for: by name, or in a CSV or TSV file without names by number from 1. Is told
   * which there are, for JSON Lines of each record.
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
  const { on_invalid, onInvalid } = options;
  const linesBefore = () => linesTo(file, from);
  const lines = readLines(readBytes(file, from, to), { file, on_invalid, onInvalid, linesBefore, atStart: from === 0 });
  if (format === "jsonl") yield* readJsonLines(lines, file, options, linesBefore);
  else yield* readTable(format === "csv" ? csvRows(lines, file) : tsvRows(lines), file, options);
}

/** Lines before a byte of a file. */
export async function linesTo(file: string, to: number): Promise<number> {
  let lines = 0;
  if (to > 0) { for await (const chunk of readBytes(file, 0, to)) lines += countLines(chunk); }
  return lines;
}

async function* readJsonLines(
  blocks: AsyncIterable<Uint8Array>,
  file: string,
  { columns, hint }: RecordOptions,
  linesBefore: () => Promise<number>,
): AsyncGenerator<FileRecord[]> {
  let number = 0;
  for await (const block of blocks) {
    const records: FileRecord[] = [];
    for (const line of textLines(block)) {
      const at = ++number;
      if (line === SKIPPED || line.trim() === "") continue;
      const place = async () => `line ${await linesBefore() + at}`;
      const values = jsonFields(line, columns);
      if (values instanceof Error) {
        throw new ClozeError("input", `${file}: ${await place()} ${values.message}`, { hint });
      }
      records.push({ values, place });
    }
    yield records;
  }
}

function jsonFields(line: string, columns: RecordOptions["columns"]): unknown[] | Error {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch (error) {
    return new Error(`is not JSON: ${messageOf(error)}`);
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return new Error("is not a JSON object");
  const record = parsed as Record<string, unknown>;
  const names = Object.keys(record), fields = columns(names);
  const missing = fields.find((field) => !Object.hasOwn(record, field));
  if (missing === undefined) return fields.map((field) => record[field]);
  return new Error(`has no field ${JSON.stringify(missing)}; it has: ${names.join(", ") || "none"}`);
}

/** Columns that are given by number mean that the first row is a record already; otherwise it has the names. */
async function* readTable(
  blocks: AsyncIterable<Row[]>,
  file: string,
  { columns, hint }: RecordOptions,
): AsyncGenerator<FileRecord[]> {
  let indices: number[] | undefined;
  for await (const rows of blocks) {
    const records: FileRecord[] = [];
    for (const { fields, line } of rows) {
      if (indices === undefined) {
        const chosen = columns(fields);
        const isNumbered = chosen.some((column) => /^[1-9]\d*$/.test(column));
        const names = isNumbered ? fields.map((_, i) => String(i + 1)) : fields;
        indices = indicesOf(chosen, names, file, hint);
        if (!isNumbered) continue;
      }
      const last = Math.max(...indices);
      if (last >= fields.length) {
        throw new ClozeError("input", `${file}: line ${line} has ${fields.length} columns, not ${last + 1}`, { hint });
      }
      records.push({ values: indices.map((i) => fields[i]), place: () => Promise.resolve(`line ${line}`) });
    }
    yield records;
  }
}

function indicesOf(columns: readonly string[], names: readonly string[], file: string, hint: string): number[] {
  return columns.map((column) => {
    const index = names.indexOf(column);
    if (index >= 0) return index;
    const found = names.map((name) => JSON.stringify(name)).join(", ");
    throw new ClozeError("input", `${file} has no column ${JSON.stringify(column)}; it has: ${found || "none"}`, {
      hint,
    });
  });
}

interface Row {
  fields: string[];
  /** Where it began, from 1. */
  line: number;
}

async function* tsvRows(blocks: AsyncIterable<Uint8Array>): AsyncGenerator<Row[]> {
  let number = 0;
  for await (const block of blocks) {
    const rows: Row[] = [];
    for (const line of textLines(block)) {
      number++;
      if (line === SKIPPED || line.trim() === "") continue;
      rows.push({ fields: line.replace(/\r$/, "").split("\t"), line: number });
    }
    yield rows;
  }
}

/** RFC 4180: a field in quotes may hold commas, line breaks, and quotes, which are doubled. */
async function* csvRows(blocks: AsyncIterable<Uint8Array>, file: string): AsyncGenerator<Row[]> {
  let number = 0, began = 0, length = 0;
  let record: string[] = []; // lines of a record whose quotes are not closed yet
  let open = false, broken = false;
  const unclosed = () =>
    new ClozeError("input", `${file}: line ${began} begins a record with a quote that is never closed`, {
      hint: 'in CSV a quote inside a field is doubled (""); a file without quoting is a .tsv file',
    });
  for await (const block of blocks) {
    const rows: Row[] = [];
    for (const line of textLines(block)) {
      number++;
      if (line === SKIPPED) {
        broken = open; // a record that has lost a line is left out with it
        continue;
      }
      if (!open && line.trim() === "") continue;
      if (!open) [began, length, record] = [number, 0, []];
      record.push(line);
      length += line.length;
      if (oddQuotes(line)) open = !open;
      if (open) {
        if (length > LONGEST_RECORD) throw unclosed();
        continue;
      }
      if (!broken) rows.push({ fields: csvFields(record.join("\n").replace(/\r$/, "")), line: began });
      broken = false;
    }
    yield rows;
  }
  if (open) throw unclosed();
}

/** Characters of a CSV record, so that a stray quote does not take the rest of a file for one field. */
const LONGEST_RECORD = 1 << 24;

function oddQuotes(line: string): boolean {
  let odd = false;
  for (let at = line.indexOf('"'); at >= 0; at = line.indexOf('"', at + 1)) odd = !odd;
  return odd;
}

function csvFields(record: string): string[] {
  if (!record.includes('"')) return record.split(",");
  const fields: string[] = [];
  for (let at = 0; at <= record.length;) {
    let end: number;
    if (record[at] === '"') {
      end = at + 1;
      while (end < record.length && !(record[end] === '"' && record[end + 1] !== '"')) {
        end += record[end] === '"' ? 2 : 1;
      }
      const quoted = record.slice(at + 1, end).replaceAll('""', '"');
      at = record.indexOf(",", end + 1);
      fields.push(quoted + record.slice(end + 1, at < 0 ? undefined : at));
    } else {
      const next = record.indexOf(",", at);
      fields.push(record.slice(at, next < 0 ? undefined : next));
      at = next;
    }
    if (at < 0) break;
    at++;
  }
  return fields;
}

/** Rows of a Parquet file that are read at once: at most a row group, which is what such a file is read by. */
const PARQUET_ROWS = 1 << 17;

/** The format is read from its end, so that a compressed file becomes a plain one first. */
async function* readParquet(file: string, options: RecordOptions): AsyncGenerator<FileRecord[]> {
  if (sourceKind(file).compression === "none") return yield* readPlainParquet(file, file, options);
  const temporary = await Deno.makeTempFile({ prefix: "cloze-", suffix: ".parquet" });
  try {
    {
      using out = await Deno.open(temporary, { write: true });
      for await (const chunk of readBytes(file)) {
        for (let at = 0; at < chunk.length;) at += await out.write(chunk.subarray(at));
      }
    }
    yield* readPlainParquet(temporary, file, options);
  } finally {
    await Deno.remove(temporary);
  }
}

/** @param name what to call the file in messages. */
async function* readPlainParquet(
  file: string,
  name: string,
  { columns: choose, hint }: RecordOptions,
): AsyncGenerator<FileRecord[]> {
  const { parquetMetadataAsync, parquetRead } = await import("hyparquet");
  using opened = await Deno.open(file).catch((error) => {
    throw ioError(error, "read", name);
  });
  const { size } = await opened.stat();
  const source = {
    byteLength: size,
    slice: (from: number, to = size): ArrayBuffer => {
      const bytes = new Uint8Array(to - from);
      opened.seekSync(from, Deno.SeekMode.Start);
      for (let at = 0; at < bytes.length;) {
        const read = opened.readSync(bytes.subarray(at));
        if (read === null) throw new Error("it is cut off");
        at += read;
      }
      return bytes.buffer;
    },
  };
  const broken = (error: unknown) =>
    new ClozeError("input", `${name} cannot be read as a Parquet file: ${messageOf(error)}`, { cause: error });
  const compressors = await parquetCompressors();
  const metadata = await parquetMetadataAsync(source).catch((error: unknown) => {
    throw broken(error);
  });
  const names = metadata.schema.filter((element) => element.num_children === undefined).map(({ name }) => name);
  const columns = [...choose(names)];
  indicesOf(columns, names, name, hint);
  let [rowStart, groupEnd, group] = [0, 0, 0];
  for (const rows = Number(metadata.num_rows), groups = metadata.row_groups; rowStart < rows;) {
    while (groupEnd <= rowStart) groupEnd += Number(groups[group++].num_rows);
    const rowEnd = Math.min(groupEnd, rowStart + PARQUET_ROWS);
    const records: FileRecord[] = [];
    const first = rowStart + 1;
    const onComplete = (found: unknown[][]) => {
      found.forEach((values, i) => records.push({ values, place: () => Promise.resolve(`row ${first + i}`) }));
    };
    const options = { file: source, metadata, columns, rowStart, rowEnd, compressors, onComplete };
    await parquetRead(options).catch((error: unknown) => {
      throw broken(error);
    });
    rowStart = rowEnd;
    yield records;
  }
}

/** What hyparquet does not bring itself: Polars writes zstd, others gzip and brotli. */
async function parquetCompressors() {
  const { brotliDecompressSync, gunzipSync, zstdDecompressSync } = await import("node:zlib");
  return {
    GZIP: (input: Uint8Array) => new Uint8Array(gunzipSync(input)),
    BROTLI: (input: Uint8Array) => new Uint8Array(brotliDecompressSync(input)),
    ZSTD: (input: Uint8Array) => new Uint8Array(zstdDecompressSync(input)),
  };
}
