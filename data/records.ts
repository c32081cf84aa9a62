/**
 * Files of records → the text of each record: JSON Lines, CSV (RFC 4180), TSV (IANA text/tab-separated-values, which has
 * no quotes) and Parquet. Used by `corpus.ts`.
 */

import { ClozeError, ioError, messageOf } from "../config/cloze_error.ts";
import { SKIPPED, textLines } from "./lines.ts";

/** Texts of JSON Lines, in blocks; `""` for a record whose field is empty or null. */
export async function* readJsonLines(
  blocks: AsyncIterable<Uint8Array>,
  file: string,
  field: string,
  linesBefore: () => Promise<number>,
): AsyncGenerator<string[]> {
  let number = 0;
  for await (const block of blocks) {
    const texts: string[] = [];
    for (const line of textLines(block)) {
      number++;
      if (line === SKIPPED || line.trim() === "") continue;
      const text = jsonField(line, field);
      if (text instanceof Error) {
        const place = `${file}: line ${await linesBefore() + number}`;
        throw new ClozeError("input", `${place} ${text.message}`, { hint: "--text-field names the field of the text" });
      }
      texts.push(text);
    }
    yield texts;
  }
}

function jsonField(line: string, field: string): string | Error {
  let record: unknown;
  try {
    record = JSON.parse(line);
  } catch (error) {
    return new Error(`is not JSON: ${messageOf(error)}`);
  }
  if (typeof record !== "object" || record === null || Array.isArray(record)) return new Error("is not a JSON object");
  if (!Object.hasOwn(record, field)) {
    return new Error(`has no field ${JSON.stringify(field)}; it has: ${Object.keys(record).join(", ") || "none"}`);
  }
  const value = (record as Record<string, unknown>)[field] ?? "";
  return typeof value === "string" ? value : new Error(`has a ${typeof value} in ${JSON.stringify(field)}, not a text`);
}

/** Texts of a CSV or TSV file's column, in blocks. */
export async function* readTable(
  blocks: AsyncIterable<Uint8Array>,
  file: string,
  column: string,
  kind: "csv" | "tsv",
): AsyncGenerator<string[]> {
  let index = /^[1-9]\d*$/.test(column) ? Number(column) - 1 : undefined;
  const hint = "--text-column gives the column of the text, by its name or, in a file without names, by its number";
  for await (const rows of kind === "csv" ? csvRows(blocks, file) : tsvRows(blocks)) {
    const texts: string[] = [];
    for (const { fields, line } of rows) {
      if (index === undefined) {
        index = fields.indexOf(column);
        if (index < 0) {
          const found = fields.map((name) => JSON.stringify(name)).join(", ");
          throw new ClozeError("input", `${file} has no column ${JSON.stringify(column)}; it has: ${found}`, { hint });
        }
        continue;
      }
      if (index >= fields.length) {
        throw new ClozeError("input", `${file}: line ${line} has ${fields.length} columns, not ${index + 1}`, { hint });
      }
      texts.push(fields[index]);
    }
    yield texts;
  }
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

/**
 * Texts of a Parquet file's column, in blocks.
 *
 * @param file a plain file: the format is read from its end.
 * @param name what to call it in messages.
 */
export async function* readParquet(file: string, name: string, column: string): AsyncGenerator<string[]> {
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
    error instanceof ClozeError
      ? error
      : new ClozeError("input", `${name} cannot be read as a Parquet file: ${messageOf(error)}`, { cause: error });
  const compressors = await parquetCompressors();
  const metadata = await parquetMetadataAsync(source).catch((error: unknown) => {
    throw broken(error);
  });
  const columns = metadata.schema.filter((element) => element.num_children === undefined).map(({ name }) => name);
  if (!columns.includes(column)) {
    throw new ClozeError("input", `${name} has no column ${JSON.stringify(column)}; it has: ${columns.join(", ")}`, {
      hint: "--text-column names the column of the text",
    });
  }
  let [rowStart, groupEnd, group] = [0, 0, 0];
  for (const rows = Number(metadata.num_rows), groups = metadata.row_groups; rowStart < rows;) {
    while (groupEnd <= rowStart) groupEnd += Number(groups[group++].num_rows);
    const rowEnd = Math.min(groupEnd, rowStart + PARQUET_ROWS);
    const texts: string[] = [];
    const onComplete = (found: unknown[][]) => {
      for (const [value] of found) {
        if (value !== null && value !== undefined && typeof value !== "string") {
          throw new ClozeError("input", `${name}: the column ${JSON.stringify(column)} does not hold text`);
        }
        texts.push(value ?? "");
      }
    };
    const options = { file: source, metadata, columns: [column], rowStart, rowEnd, compressors, onComplete };
    await parquetRead(options).catch((error: unknown) => {
      throw broken(error);
    });
    rowStart = rowEnd;
    yield texts;
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
