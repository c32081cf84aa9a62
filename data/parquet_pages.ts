/**
 * A column of a Parquet file → the values of its rows, page by page: no more than a page and a dictionary is held, and
 * what they claim to need is looked at before it is reserved. Used by `parquet.ts`.
 */

import { LONGEST_RECORD } from "./csv.ts";
import type { ColumnChunk, Decompress, PageHeader, ParquetLibrary } from "./parquet_library.ts";
import type { ParquetColumn } from "./parquet_schema.ts";
import { dictionary, hybrid, type Next, values } from "./parquet_values.ts";
import { thriftEnd } from "./thrift.ts";

/** Most bytes that pages and dictionaries take, packed and unpacked, of all columns that are read. */
const MOST_BYTES = 192 << 20;
/** Most bytes of a page's header, which has statistics with values in it. */
const LONGEST_HEADER = 1 << 20;

/** Bytes that pages hold, of all columns together. */
export class PageMemory {
  #held = 0;

  /** Takes that many instead of `before`. @throws {Error} if it is too much. */
  take(bytes: number, before: number): void {
    if (this.#held - before + bytes > MOST_BYTES) {
      throw new Error(
        `a page of it needs ${this.#held - before + bytes} bytes; at most ${MOST_BYTES} are taken: ` +
          "write it again with smaller pages",
      );
    }
    this.#held += bytes - before;
  }
}

/** The bytes of a file. */
export interface Bytes {
  size: number;
  /** @throws {Error} if the file ends before. */
  read(from: number, to: number): Uint8Array;
}

/** What a page has: levels say which values are there and where rows begin. */
interface Page {
  left: number;
  repetition: Next<number> | undefined;
  definition: Next<number> | undefined;
  value: Next<unknown>;
}

/** Reads the rows of a column, from one row group after another. */
export class ColumnReader {
  readonly #file: Bytes;
  readonly #column: ParquetColumn;
  readonly #library: ParquetLibrary;
  readonly #memory: PageMemory;
  #decompress: Decompress = (bytes) => bytes;
  /** Of the row group: where its next page begins, and where it ends. */
  #at = 0;
  #end = 0;
  #page: Page | undefined;
  #pageBytes = 0;
  #dictionary: ((i: number) => unknown) | undefined;
  #dictionaryBytes = 0;
  /** Of a list: the repetition level of the entry that comes next, if it was looked at. */
  #next: number | undefined;

  constructor(file: Bytes, column: ParquetColumn, library: ParquetLibrary, memory: PageMemory) {
    this.#file = file;
    this.#column = column;
    this.#library = library;
    this.#memory = memory;
  }

  /** Goes on with the column in another row group. */
  async open({ file_path, meta_data, crypto_metadata }: ColumnChunk): Promise<void> {
    if (file_path !== undefined) throw new Error(`its columns are in other files, such as ${file_path}`);
    if (meta_data === undefined || crypto_metadata !== undefined) throw new Error("it is encrypted");
    const { codec, data_page_offset, dictionary_page_offset, total_compressed_size, type } = meta_data;
    const load = Object.hasOwn(this.#library.codecs, codec) ? this.#library.codecs[codec] : undefined;
    if (load === undefined) throw new Error(`it is compressed in a way that is not read: ${codec}`);
    if (type !== this.#column.element.type) throw new Error("its row groups do not fit its schema");
    this.#decompress = await load();
    const isFirst = dictionary_page_offset !== undefined && dictionary_page_offset > 0n;
    this.#at = Number(isFirst && dictionary_page_offset < data_page_offset ? dictionary_page_offset : data_page_offset);
    this.#end = this.#at + Number(total_compressed_size);
    if (!(this.#at >= 0 && this.#end >= this.#at && this.#end <= this.#file.size)) {
      throw new Error("its row groups lie outside of it");
    }
    this.#memory.take(0, this.#pageBytes + this.#dictionaryBytes);
    this.#pageBytes = this.#dictionaryBytes = 0;
    this.#page = this.#dictionary = this.#next = undefined;
  }

  /** The value of the next row; of a column in lists the values that are not null. */
  row(): unknown {
    if (this.#column.lists === 0) return this.#entry();
    const list: unknown[] = [];
    let length = 0;
    if ((this.#next ?? this.#level()) !== 0) throw new Error("a row group begins inside of a row");
    do {
      const value = this.#entry();
      this.#next = undefined;
      if (value !== null) list.push(value);
      length += typeof value === "string" ? value.length + 1 : 1;
      if (length > LONGEST_RECORD) throw new Error(`a list has more than ${LONGEST_RECORD} characters or items`);
    } while (this.#loaded() !== undefined && (this.#next = this.#level()) > 0);
    return list;
  }

  /** Ends a row group. @throws {Error} if it has more values than rows were read. */
  close(): void {
    if (this.#page !== undefined && this.#page.left > 0) {
      throw new Error("a row group has more rows than its metadata says");
    }
  }

  #level(): number {
    const { repetition } = this.#expected();
    return repetition === undefined ? 0 : repetition();
  }

  /** A value, or null. Its repetition level has been read. */
  #entry(): unknown {
    const page = this.#expected();
    page.left--;
    const isThere = page.definition === undefined || page.definition() === this.#column.defined;
    return isThere ? page.value() : null;
  }

  #expected(): Page {
    const page = this.#loaded();
    if (page === undefined) throw new Error("a row group ends before its rows do");
    return page;
  }

  /** The page with the next value, if there is one. */
  #loaded(): Page | undefined {
    while (this.#page === undefined || this.#page.left === 0) {
      this.#page = undefined;
      if (this.#at >= this.#end) return undefined;
      this.#read(this.#header());
    }
    return this.#page;
  }

  #header(): PageHeader {
    for (let length = 1 << 12;; length *= 4) {
      const bytes = this.#file.read(this.#at, Math.min(this.#end, this.#at + length));
      const end = thriftEnd(bytes, 0);
      if (end === undefined && bytes.length === length && length < LONGEST_HEADER) continue;
      if (end === undefined) throw new Error("a page of it has no header");
      this.#at += end;
      return this.#library.pageHeader({ view: new DataView(bytes.buffer, bytes.byteOffset), offset: 0 });
    }
  }

  #read(header: PageHeader): void {
    const { type, compressed_page_size: packed, uncompressed_page_size: size } = header;
    if (!(packed >= 0 && this.#at + packed <= this.#end && size >= 0)) throw new Error("a page of it is cut off");
    const from = this.#at;
    this.#at += packed;
    if (type === "INDEX_PAGE") return;
    if (type === "DICTIONARY_PAGE") {
      this.#memory.take(packed + size, this.#dictionaryBytes);
      this.#dictionaryBytes = packed + size;
      const bytes = this.#unpacked(this.#file.read(from, this.#at), size);
      this.#dictionary = dictionary(bytes, header.dictionary_page_header?.num_values ?? 0, this.#column.element);
      return;
    }
    this.#memory.take(packed + size, this.#pageBytes);
    this.#pageBytes = packed + size;
    const bytes = this.#file.read(from, this.#at);
    if (type === "DATA_PAGE") this.#page = this.#version1(header.data_page_header!, this.#unpacked(bytes, size));
    else if (type === "DATA_PAGE_V2") this.#page = this.#version2(header, bytes);
    else throw new Error(`it has a page of a kind that is not read: ${type}`);
  }

  #unpacked(bytes: Uint8Array, size: number): Uint8Array {
    if (size === 0) return new Uint8Array(); // of an empty dictionary
    const page = this.#decompress(bytes, size);
    if (page.length !== size) throw new Error(`a page of it has ${page.length} bytes, not ${size}`);
    return page;
  }

  #version1({ num_values, encoding, definition_level_encoding }: DataPageHeader, bytes: Uint8Array): Page {
    const { lists, defined } = this.#column;
    if (definition_level_encoding === "BIT_PACKED" && defined > 0) throw new Error("it has levels that are not read");
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    const levels = (most: number) => {
      if (most === 0) return undefined;
      const from = at + 4;
      at = from + view.getUint32(at, true);
      if (at > bytes.length) throw new Error("a page of it is cut off");
      return hybrid(bytes, from, at, bitsOf(most));
    };
    const repetition = levels(lists), definition = levels(defined);
    return { left: num_values, repetition, definition, value: this.#values(bytes, at, encoding) };
  }

  /** Its levels are not compressed. */
  #version2(header: PageHeader, bytes: Uint8Array): Page {
    const { num_values, encoding, is_compressed, ...lengths } = header.data_page_header_v2!;
    const { repetition_levels_byte_length: first, definition_levels_byte_length: second } = lengths;
    const { lists, defined } = this.#column;
    if (!(first >= 0 && second >= 0 && first + second <= bytes.length)) throw new Error("a page of it is cut off");
    const repetition = lists === 0 ? undefined : hybrid(bytes, 0, first, bitsOf(lists));
    const definition = defined === 0 ? undefined : hybrid(bytes, first, first + second, bitsOf(defined));
    const rest = bytes.subarray(first + second), size = header.uncompressed_page_size - first - second;
    const unpacked = is_compressed ? this.#unpacked(rest, size) : rest;
    return { left: num_values, repetition, definition, value: this.#values(unpacked, 0, encoding) };
  }

  #values(bytes: Uint8Array, at: number, encoding: string): Next<unknown> {
    if (!encoding?.endsWith("_DICTIONARY")) {
      return lazy(() => values(bytes, at, encoding, this.#column.element, this.#library));
    }
    const entry = this.#dictionary;
    if (entry === undefined) throw new Error("a page of it needs a dictionary that is not there");
    const number = lazy(() => hybrid(bytes, at + 1, bytes.length, bytes[at]));
    return () => entry(number());
  }
}

type DataPageHeader = NonNullable<PageHeader["data_page_header"]>;

const bitsOf = (most: number) => 32 - Math.clz32(most);

/** Makes what gives values when the first is asked for: a page of nulls may have no bytes for any. */
function lazy<T>(make: () => Next<T>): Next<T> {
  let next: Next<T> | undefined;
  return () => (next ??= make())();
}
