/** Parquet files → records. Used by `records.ts`. */

import { ClozeError, ioError, messageOf } from "../config/cloze_error.ts";
import { readBytes } from "./bytes.ts";
import type { FileRecord, RecordOptions } from "./records.ts";
import { sourceKind } from "./sources.ts";

/** Rows of a Parquet file that are read at once: at most a row group, which is what such a file is read by. */
const PARQUET_ROWS = 1 << 17;

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
  for (const column of columns) {
    if (names.includes(column)) continue;
    const found = names.map((name) => JSON.stringify(name)).join(", ");
    const what = `${name} has no column ${JSON.stringify(column)}; it has: ${found || "none"}`;
    throw new ClozeError("input", what, { hint });
  }
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
