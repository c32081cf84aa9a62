/**
 * A page of a Parquet column → its values, one after another, so that nothing is reserved for what a page claims to hold.
 * Text that is not UTF-8 has lone surrogates where it is not. Used by `parquet_pages.ts`.
 */

import { LONGEST_RECORD } from "./csv.ts";
import type { DataReader, ParquetLibrary } from "./parquet_library.ts";
import type { SchemaElement } from "./parquet_schema.ts";
import { decoded } from "./text_blocks.ts";

/** Gives the next value. @throws {Error} if there is none. */
export type Next<T> = () => T;

/** Values of a page that are unpacked at once, where an encoding cannot be read one after another. */
const MOST_UNPACKED = 1 << 24;
/** Values of a dictionary. Writers end one at about a megabyte. */
const MOST_ENTRIES = 1 << 22;

const CUT_OFF = "a page ends before its values do";

/** Numbers in the hybrid of run lengths and packed bits, from `at` to `end`. */
export function hybrid(bytes: Uint8Array, at: number, end: number, bits: number): Next<number> {
  if (bits > 32) throw new Error(`a page has numbers of ${bits} bits`);
  const width = (bits + 7) >> 3;
  let left = 0, run = 0; // values left of a run, and their value
  let packed = 0, bit = 0; // values left of a packed part, and bits of its first byte that are read
  const byte = () => {
    if (at >= end) throw new Error(CUT_OFF);
    return bytes[at++];
  };
  const header = () => {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const next = byte();
      value += (next & 127) * 2 ** shift;
      if (next < 128) return value;
    }
    throw new Error("a page has a run that is too long");
  };
  const unpacked = () => {
    let value = 0;
    for (let have = 0; have < bits;) {
      if (at >= end) throw new Error(CUT_OFF);
      const take = Math.min(8 - bit, bits - have);
      value += (bytes[at] >> bit & (1 << take) - 1) * 2 ** have;
      have += take;
      bit += take;
      if (bit === 8) [bit, at] = [0, at + 1];
    }
    packed--;
    return value;
  };
  return () => {
    while (left === 0 && packed === 0) {
      const next = header(), count = Math.floor(next / 2);
      if (next % 2 === 1) [packed, bit] = [count * 8, 0];
      else {
        left = count;
        run = 0;
        for (let i = 0; i < width; i++) run += byte() * 2 ** (8 * i);
      }
    }
    if (packed > 0) return unpacked();
    left--;
    return run;
  };
}

/** The values of a page in an encoding, from `at` on. */
export function values(
  bytes: Uint8Array,
  at: number,
  encoding: string,
  element: SchemaElement,
  library: ParquetLibrary,
): Next<unknown> {
  const convert = converter(element);
  const next = encoded(bytes, at, encoding, element.type ?? "", library);
  return () => convert(next());
}

function encoded(
  bytes: Uint8Array,
  at: number,
  encoding: string,
  type: string,
  library: ParquetLibrary,
): Next<unknown> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (encoding === "PLAIN") return plain(bytes, view, at, type);
  if (encoding === "RLE" && type === "BOOLEAN") {
    const next = hybrid(bytes, at + 4, at + 4 + view.getUint32(at, true), 1);
    return () => next() === 1;
  }
  const reader = { view, offset: at };
  if (encoding === "DELTA_BINARY_PACKED") return unpack(reader, type, library);
  if (encoding === "DELTA_LENGTH_BYTE_ARRAY") return deltaLengthByteArray(bytes, reader, library);
  if (encoding === "DELTA_BYTE_ARRAY") return deltaByteArray(bytes, reader, library);
  if (encoding === "BYTE_STREAM_SPLIT") return streamSplit(bytes, view, at, type);
  throw new Error(`it has an encoding that is not read: ${encoding}`);
}

/** Values one behind another. */
function plain(bytes: Uint8Array, view: DataView, at: number, type: string): Next<unknown> {
  if (type === "BYTE_ARRAY") {
    return () => {
      if (at + 4 > bytes.length) throw new Error(CUT_OFF);
      const from = at + 4;
      at = from + view.getUint32(at, true);
      return slice(bytes, from, at);
    };
  }
  if (type === "BOOLEAN") {
    let bit = 8 * at;
    return () => {
      if (bit >= 8 * bytes.length) throw new Error(CUT_OFF);
      return (bytes[bit >> 3] >> (bit++ & 7) & 1) === 1;
    };
  }
  const { size, get } = fixed(type);
  return () => {
    if (at + size > bytes.length) throw new Error(CUT_OFF);
    at += size;
    return get(view, at - size);
  };
}

/** Numbers whose first bytes stand together, then their second ones. */
function streamSplit(bytes: Uint8Array, view: DataView, at: number, type: string): Next<unknown> {
  const { size, get } = fixed(type);
  const stride = Math.floor((bytes.length - at) / size);
  const value = new DataView(new ArrayBuffer(size));
  let i = 0;
  return () => {
    if (i >= stride) throw new Error(CUT_OFF);
    for (let byte = 0; byte < size; byte++) value.setUint8(byte, view.getUint8(at + byte * stride + i));
    i++;
    return get(value, 0);
  };
}

function fixed(type: string): { size: number; get: (view: DataView, at: number) => unknown } {
  switch (type) {
    case "INT32":
      return { size: 4, get: (view, at) => view.getInt32(at, true) };
    case "INT64":
      return { size: 8, get: (view, at) => view.getBigInt64(at, true) };
    case "FLOAT":
      return { size: 4, get: (view, at) => view.getFloat32(at, true) };
    case "DOUBLE":
      return { size: 8, get: (view, at) => view.getFloat64(at, true) };
    default:
      throw new Error(`it has values of a type that is not read: ${type}`);
  }
}

function deltaLengthByteArray(bytes: Uint8Array, reader: DataReader, library: ParquetLibrary): Next<Uint8Array> {
  const length = unpack(reader, "INT32", library) as Next<number>;
  return () => {
    const from = reader.offset;
    reader.offset += length();
    return slice(bytes, from, reader.offset);
  };
}

/** Each begins as the one before it does. */
function deltaByteArray(bytes: Uint8Array, reader: DataReader, library: ParquetLibrary): Next<Uint8Array> {
  const shared = unpack(reader, "INT32", library) as Next<number>;
  const rest = deltaLengthByteArray(bytes, reader, library);
  let before: Uint8Array = new Uint8Array();
  return () => {
    const prefix = slice(before, 0, shared()), suffix = rest();
    if (prefix.length === 0) return before = suffix;
    checkLength(prefix.length + suffix.length);
    const value = new Uint8Array(prefix.length + suffix.length);
    value.set(prefix);
    value.set(suffix, prefix.length);
    return before = value;
  };
}

/** The numbers of DELTA_BINARY_PACKED. Leaves the reader behind them. */
function unpack(reader: DataReader, type: string, library: ParquetLibrary): Next<number | bigint> {
  const head = { ...reader };
  const [, miniblocks, count] = [varint(head), varint(head), varint(head)];
  if (count > MOST_UNPACKED || miniblocks > MOST_UNPACKED) {
    throw new Error(`a page claims ${count} values; at most ${MOST_UNPACKED} are read`);
  }
  const output = type === "INT32" ? new Int32Array(count) : new BigInt64Array(count);
  if (count > 0) library.deltaBinaryUnpack(reader, count, output);
  let i = 0;
  return () => {
    if (i >= output.length) throw new Error(CUT_OFF);
    return output[i++];
  };
}

function varint(reader: DataReader): number {
  let value = 0;
  for (let shift = 0;; shift += 7) {
    const byte = reader.view.getUint8(reader.offset++);
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return value;
  }
}

function slice(bytes: Uint8Array, from: number, to: number): Uint8Array {
  if (to < from || to > bytes.length) throw new Error(CUT_OFF);
  checkLength(to - from);
  return bytes.subarray(from, to);
}

function checkLength(length: number): void {
  if (length > LONGEST_RECORD) throw new Error(`a value has ${length} bytes; at most ${LONGEST_RECORD} are read`);
}

/** The values of a dictionary page, by number. Texts are found again each time, so that they are not held twice. */
export function dictionary(bytes: Uint8Array, count: number, element: SchemaElement): (i: number) => unknown {
  if (count > MOST_ENTRIES) throw new Error(`a dictionary claims ${count} values; at most ${MOST_ENTRIES} are read`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const convert = converter(element);
  const check = (i: number) => {
    if (i >= count) throw new Error(`a page has value ${i} of a dictionary of ${count}`);
  };
  const next = plain(bytes, view, 0, element.type ?? "");
  if (element.type !== "BYTE_ARRAY") {
    const all = Array.from({ length: Math.min(count, bytes.length * 8) }, () => convert(next()));
    return (i) => {
      check(i);
      return all[i];
    };
  }
  const places = new Uint32Array(count + 1);
  for (let i = 0; i < count; i++) places[i + 1] = places[i] + 4 + (next() as Uint8Array).length;
  return (i) => {
    check(i);
    return convert(bytes.subarray(places[i] + 4, places[i + 1]));
  };
}

/** What a stored value stands for. */
function converter({ type, converted_type = "", logical_type }: SchemaElement): (value: unknown) => unknown {
  if (type === "BYTE_ARRAY") return (value) => decoded(value as Uint8Array);
  const isUnsigned = converted_type.startsWith("UINT") || logical_type?.isSigned === false;
  if (isUnsigned && type === "INT32") return (value) => (value as number) >>> 0;
  if (isUnsigned && type === "INT64") return (value) => BigInt.asUintN(64, value as bigint);
  return (value) => value;
}
