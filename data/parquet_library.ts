// deno-lint-ignore-file no-import-prefix -- a project that imports mod.ts by its path has its own import map
/**
 * What is taken of the packages that know Parquet: its metadata, the headers of its pages, its codecs. They are loaded when
 * such a file is read. Pages are walked by `parquet_pages.ts`, since the packages read whole row groups at once.
 */

import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import type { SchemaElement } from "./parquet_schema.ts";

/** The metadata of a file, as far as it is used. */
export interface ParquetMetadata {
  schema: SchemaElement[];
  row_groups: { num_rows: bigint; columns: ColumnChunk[] }[];
}

/** Where a column of a row group is. */
export interface ColumnChunk {
  /** Of another file. */
  file_path?: string | undefined;
  meta_data?: {
    type: string;
    codec: string;
    num_values: bigint;
    total_compressed_size: bigint;
    data_page_offset: bigint;
    dictionary_page_offset?: bigint | undefined;
  } | undefined;
  crypto_metadata?: unknown;
}

/** The header of a page. */
export interface PageHeader {
  type: string;
  uncompressed_page_size: number;
  compressed_page_size: number;
  data_page_header?: { num_values: number; encoding: string; definition_level_encoding: string };
  dictionary_page_header?: { num_values: number };
  data_page_header_v2?: {
    num_values: number;
    encoding: string;
    definition_levels_byte_length: number;
    repetition_levels_byte_length: number;
    is_compressed: boolean;
  };
}

/** A place in bytes. */
export interface DataReader {
  view: DataView;
  offset: number;
}

/** Bytes → a page of exactly that size. */
export type Decompress = (bytes: Uint8Array, size: number) => Uint8Array;

/** The packages' functions. */
export interface ParquetLibrary {
  metadata(bytes: Uint8Array): ParquetMetadata;
  pageHeader(reader: DataReader): PageHeader;
  deltaBinaryUnpack(reader: DataReader, count: number, output: Int32Array | BigInt64Array): void;
  codecs: Record<string, () => Promise<Decompress>>;
}

/** Loads them. */
export async function parquetLibrary(): Promise<ParquetLibrary> {
  const { parquetMetadata } = await import("npm:hyparquet@^1.31.5/src/metadata.js");
  const { parquetHeader } = await import("npm:hyparquet@^1.31.5/src/column.js");
  const { deltaBinaryUnpack } = await import("npm:hyparquet@^1.31.5/src/delta.js");
  const { snappyUncompress } = await import("npm:hyparquet@^1.31.5/src/snappy.js");
  const lz4 = () => import("npm:hyparquet-compressors@^1.1.2");
  const limited = (size: number) => ({ maxOutputLength: size, chunkSize: Math.max(64, size) });
  // Statistics have values of columns that nobody asks for.
  const parsers = { stringFromBytes: () => undefined };
  return {
    metadata: (bytes) => parquetMetadata(bytes, { geoparquet: false, parsers }) as unknown as ParquetMetadata,
    pageHeader: (reader) => parquetHeader(reader) as unknown as PageHeader,
    deltaBinaryUnpack,
    codecs: {
      UNCOMPRESSED: () => Promise.resolve((bytes) => bytes),
      SNAPPY: () =>
        Promise.resolve((bytes, size) => {
          const page = new Uint8Array(size);
          snappyUncompress(bytes, page);
          return page;
        }),
      GZIP: () => Promise.resolve((bytes, size) => gunzipSync(bytes, limited(size))),
      BROTLI: () => Promise.resolve((bytes, size) => brotliDecompressSync(bytes, limited(size))),
      ZSTD: () => Promise.resolve((bytes, size) => zstdDecompressSync(bytes, limited(size))),
      LZ4: async () => (await lz4()).decompressLz4,
      LZ4_RAW: async () => (await lz4()).decompressLz4Raw,
    },
  };
}
