/** Parquet files → records. Used by `records.ts`. */

import { ClozeError, ioError, messageOf } from "../config/cloze_error.ts";
import { regularFile } from "../config/regular_file.ts";
import { countRead, readBytes } from "./bytes.ts";
import { findColumns, joined, listOf } from "./columns.ts";
import { parquetLibrary, type ParquetMetadata } from "./parquet_library.ts";
import { type Bytes, ColumnReader, PageMemory } from "./parquet_pages.ts";
import { findColumn, nameOf, type ParquetColumn, parquetColumns } from "./parquet_schema.ts";
import type { FileRecord, RecordOptions } from "./record.ts";
import { sourceKind } from "./sources.ts";
import { thriftEnd } from "./thrift.ts";
import { isWellFormed, soundRecord } from "./well_formed.ts";

/** Most bytes of the metadata; that of a million columns of row groups is larger. */
const LONGEST_METADATA = 16 << 20;

/** A block of records has so many, or so many characters, about. */
const BLOCK_ROWS = 1 << 12, BLOCK_CHARACTERS = 1 << 18;

/** The format is read from its end, so that a compressed file becomes a plain one first. */
export async function* readParquet(file: string, options: RecordOptions): AsyncGenerator<FileRecord[]> {
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
async function* readPlainParquet(file: string, name: string, options: RecordOptions): AsyncGenerator<FileRecord[]> {
  regularFile(file);
  using opened = await Deno.open(file).catch((error) => {
    throw ioError(error, "read", name);
  });
  let row = 0;
  const broken = (error: unknown) => {
    if (error instanceof ClozeError) return error;
    const what = `${name} cannot be read as a Parquet file: ${row === 0 ? "" : `row ${row}: `}${messageOf(error)}`;
    return new ClozeError("input", what, { cause: error });
  };
  try {
    const bytes = bytesOf(opened);
    const library = await parquetLibrary();
    const { schema, row_groups } = metadataOf(bytes, library);
    const columns = parquetColumns(schema);
    const chosen = chooseColumns(columns, name, options);
    const memory = new PageMemory();
    const read = [...new Set(chosen.flat())];
    const places = chosen.map((parts) => parts.map((column) => read.indexOf(column)));
    const readers = read.map((column) => new ColumnReader(bytes, column, library, memory));
    let records: FileRecord[] = [], characters = 0;
    for (const group of row_groups) {
      for (const [i, reader] of readers.entries()) await reader.open(group.columns[read[i].index]);
      for (let i = 0n; i < group.num_rows; i++) {
        const number = ++row;
        const cells = readers.map((reader) => reader.row());
        const values = places.map((parts) => joined(parts.map((i) => cells[i])));
        const record = { values, place: () => Promise.resolve(`row ${number}`) };
        const sound = values.every(isWellFormed)
          ? record
          : await soundRecord(record, name, "is not UTF-8 text", options);
        if (sound === undefined) continue;
        records.push(sound);
        for (const value of sound.values) if (typeof value === "string") characters += value.length;
        if (records.length < BLOCK_ROWS && characters < BLOCK_CHARACTERS) continue;
        yield records;
        [records, characters] = [[], 0];
      }
      for (const reader of readers) reader.close();
    }
    yield records;
  } catch (error) {
    throw broken(error);
  }
}

function bytesOf(file: Deno.FsFile): Bytes {
  const { size } = file.statSync();
  const read = (from: number, to: number) => {
    const bytes = new Uint8Array(to - from);
    file.seekSync(from, Deno.SeekMode.Start);
    for (let at = 0; at < bytes.length;) {
      const count = file.readSync(bytes.subarray(at));
      countRead(count ?? 0);
      if (count === null) throw new Error("it is cut off");
      at += count;
    }
    return bytes;
  };
  return { size, read };
}

/** The metadata, at the end of the file. */
function metadataOf(file: Bytes, { metadata }: Awaited<ReturnType<typeof parquetLibrary>>): ParquetMetadata {
  if (file.size < 12) throw new Error("it is too short");
  const tail = file.read(file.size - 8, file.size);
  const magic = String.fromCharCode(...tail.subarray(4));
  if (magic === "PARE") throw new Error("it is encrypted");
  if (magic !== "PAR1") throw new Error("it does not end as one; it may be cut off");
  const length = new DataView(tail.buffer).getUint32(0, true);
  if (length > LONGEST_METADATA) {
    throw new Error(`its metadata has ${length} bytes; at most ${LONGEST_METADATA} are read`);
  }
  if (length > file.size - 12) throw new Error("its metadata is longer than the file");
  const bytes = file.read(file.size - 8 - length, file.size);
  if (thriftEnd(bytes.subarray(0, length), 0) === undefined) throw new Error("its metadata is cut off");
  return metadata(bytes);
}

/** The columns behind each name that is asked for. */
function chooseColumns(
  columns: readonly ParquetColumn[],
  file: string,
  { columns: choose, hint }: RecordOptions,
): ParquetColumn[][] {
  const names = [...new Set(columns.filter(({ inMap, lists }) => !inMap && lists < 2).map(nameOf))];
  return choose(names).map((name) => {
    const found = findColumns(name, (part) => findColumn(columns, part));
    if ("missing" in found) {
      const list = listOf(names.map((name) => JSON.stringify(name)));
      const what = `${file} has no column ${JSON.stringify(found.missing)}; it has: ${list}`;
      throw new ClozeError("input", what, { hint });
    }
    return found.parts.map((part) => {
      if (part instanceof Error) throw new ClozeError("input", `${file}: ${part.message}`, { hint });
      return part;
    });
  });
}
