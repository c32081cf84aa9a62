import { assert, assertEquals, assertRejects } from "@std/assert";
import { zstdCompressSync } from "node:zlib";
import { CORPUS_DEFAULTS, type CorpusConfig } from "../config/batch_config.ts";
import { ClozeError } from "../config/cloze_error.ts";
import { textOf } from "./columns.ts";
import { CorpusReport } from "./corpus_report.ts";
import { readRecords } from "./records.ts";

const golden = (name: string) => new URL(`../tests/golden/${name}.parquet`, import.meta.url).pathname;

/** Values of a column. */
async function read(
  file: string,
  column = "text",
  config: Partial<CorpusConfig> = {},
  report = new CorpusReport(),
): Promise<unknown[]> {
  const blocks = readRecords({ file, format: "parquet", from: 0, to: Infinity }, {
    config: { ...CORPUS_DEFAULTS, ...config },
    report,
    columns: () => [column],
    hint: "a hint",
  });
  return (await Array.fromAsync(blocks)).flat().map(({ values }) => values[0]);
}

/** The same of bytes. */
async function readFile(bytes: Uint8Array, column = "text"): Promise<unknown[]> {
  const file = await Deno.makeTempFile({ suffix: ".parquet" });
  try {
    await Deno.writeFile(file, bytes);
    return await read(file, column);
  } finally {
    await Deno.remove(file);
  }
}

Deno.test("readParquet reads every codec that pyarrow writes, LZ4 too, and pages of version 2 with deltas", async () => {
  for (const name of ["none", "snappy", "gzip", "zstd", "brotli", "lz4", "delta"]) {
    assertEquals(await read(golden(`text-${name}`)), ["one\ntwo", "", null, "한국어 문장", "three", "four"], name);
    assertEquals(await read(golden(`text-${name}`), "id"), [0n, 1n, 2n, 3n, 4n, 5n], name);
  }
});

Deno.test("readParquet finds lists and what is inside of structs by the names that people gave them", async () => {
  const texts = async (column: string) => (await read(golden("nested"), column)).map(textOf);
  assertEquals(await texts("list"), ["one\ntwo", "", ""]);
  assertEquals(await texts("a.b"), ["literal", "", "x"], "a column with the dot in its name goes first");
  assertEquals(await texts("a.c.d"), ["deep", "", ""]);
  assertEquals(await texts("turns.content"), ["ask\nanswer", "", ""]);
  assertEquals(await texts("a.c.d,list,category"), ["deep\none\ntwo\nx", "y", ""]);
  assertEquals(await texts("none"), ["", "", ""]);
  assertEquals(await read(golden("nested"), "uint"), [4294967295, 0, 1]);
  assertEquals(await read(golden("nested"), "flag"), [true, null, false]);
  assertEquals(await read(golden("nested"), "real"), [0.5, null, -1]);
});

Deno.test("readParquet refuses by its right name what is no text", async () => {
  const cases: [string, string][] = [
    ["lists", 'the column "lists" is a list of lists'],
    ["map", 'the column "map" is a map'],
    ["map.key_value.key", "is a map"],
    ["a", 'the column "a" is a struct; it has: a.b, a.c.d'],
    ["turns", "is a struct; it has: turns.role, turns.content"],
    ["when", "holds timestamps, not text"],
    ["day", "holds dates, not text"],
    ["price", "holds decimals, not text"],
    ["fixed", "holds bytes, not text"],
    ["element", 'has no column "element"; it has: "list", "a.b", "a.c.d", "turns.role", "turns.content", "when"'],
    ["list,body", 'has no column "body"'],
  ];
  for (const [column, message] of cases) await assertRejects(() => read(golden("nested"), column), ClozeError, message);
});

Deno.test("readParquet fails on text that is not UTF-8, or repairs it or leaves it out, and counts", async () => {
  const cases: [string, number, string[], string[]][] = [
    ["text", 2, ["good", "\uFFFD 한"], ["good", "a\uFFFDb", "\uFFFD 한", "\uFFFD\uFFFD\uFFFD"]],
    ["list", 2, ["good", "", "y"], ["good", "x\n\uFFFD", "", "y"]],
  ];
  for (const [column, row, skipped, replaced] of cases) {
    await assertRejects(() => read(golden("invalid"), column), ClozeError, `row ${row} is not UTF-8 text`);
    const report = new CorpusReport();
    const texts = async (on_invalid: "skip" | "replace") =>
      (await read(golden("invalid"), column, { on_invalid }, report)).map(textOf);
    assertEquals(await texts("skip"), skipped);
    assertEquals(await texts("replace"), replaced);
    assertEquals(report.invalid, column === "text" ? 4 : 2);
  }
});

Deno.test("readParquet ends in an error or in values, whatever byte of a file is wrong", async () => {
  let refused = 0, tried = 0;
  for (const name of ["text-none", "text-delta", "invalid"]) {
    const bytes = await Deno.readFile(golden(name));
    for (let at = 0; at < bytes.length; at += 9) {
      for (const wrong of [0xFF, bytes[at] ^ 0x10]) {
        const broken = bytes.slice();
        broken[at] = wrong;
        tried++;
        await readFile(broken).catch((error) => {
          if (!(error instanceof ClozeError)) throw error;
          refused++;
        });
      }
    }
    for (let length = 0; length < bytes.length; length += 101) {
      await assertRejects(() => readFile(bytes.subarray(0, length)), ClozeError);
    }
  }
  assert(refused > tried / 4 && refused < tried, `${refused} of ${tried}`);
});

/** Thrift's compact protocol, as far as a test needs it. */
function varint(value: number): number[] {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push(value % 128 + 128);
  return [...bytes, value];
}
const integer = (type: 5 | 6) => (value: number) => [type, ...varint(value * 2)];
const [i32, i64] = [integer(5), integer(6)];
const binary = (text: string) => [8, ...varint(text.length), ...new TextEncoder().encode(text)];
const list = (
  items: number[][],
  count = items.length,
) => [9, 0xF0 + (items[0]?.[0] ?? 12), ...varint(count), ...items.flatMap((item) => item.slice(1))];
function struct(fields: Record<number, number[]>): number[] {
  const bytes = [12];
  for (const [id, [type, ...value]] of Object.entries(fields)) bytes.push(type, ...varint(2 * Number(id)), ...value);
  return [...bytes, 0];
}

interface Claims {
  data?: Uint8Array;
  codec?: number;
  size?: number;
  packed?: number;
  values?: number;
  rows?: number;
  encoding?: number;
  isDictionary?: boolean;
  offset?: number;
  groups?: number;
  metadata?: number[];
  metadataLength?: number;
}

const TWO = Uint8Array.of(3, 0, 0, 0, 111, 110, 101, 3, 0, 0, 0, 116, 119, 111); // "one", "two"

/** A file of one column with one page, which may claim what is not so. */
function parquet(claims: Claims = {}): Uint8Array {
  const { data = TWO, codec = 0, size = data.length, packed = data.length, values = 2, rows = 2, encoding = 0 } =
    claims;
  const page = claims.isDictionary
    ? { 1: i32(2), 2: i32(size), 3: i32(packed), 7: struct({ 1: i32(values), 2: i32(0) }) }
    : {
      1: i32(0),
      2: i32(size),
      3: i32(packed),
      5: struct({ 1: i32(values), 2: i32(encoding), 3: i32(3), 4: i32(3) }),
    };
  const chunk = [...struct(page).slice(1), ...data];
  const column = struct({
    1: i32(6),
    2: list([i32(0)]),
    3: list([binary("text")]),
    4: i32(codec),
    5: i64(values),
    6: i64(size),
    7: i64(chunk.length),
    9: i64(claims.offset ?? 4),
  });
  const group = struct({ 1: list([struct({ 2: i64(0), 3: column })]), 2: i64(size), 3: i64(rows) });
  const schema = [
    struct({ 4: binary("schema"), 5: i32(1) }),
    struct({ 1: i32(6), 3: i32(0), 4: binary("text"), 6: i32(0) }),
  ];
  const metadata = claims.metadata ??
    struct({ 1: i32(1), 2: list(schema), 3: i64(rows), 4: list([group], claims.groups) }).slice(1);
  const length = new Uint8Array(Uint32Array.of(claims.metadataLength ?? metadata.length).buffer);
  const magic = [...new TextEncoder().encode("PAR1")];
  return Uint8Array.from([...magic, ...chunk, ...metadata, ...length, ...magic]);
}

Deno.test("readParquet looks at what pages and metadata claim before it reserves anything for it", async () => {
  assertEquals(await readFile(parquet()), ["one", "two"]);
  const packed = zstdCompressSync(TWO);
  assertEquals(await readFile(parquet({ codec: 6, data: packed, size: TWO.length })), ["one", "two"]);
  const deep: number[] = Array.from({ length: 1000 }, () => [0x1C]).flat();
  const long = new Uint8Array(5 + (1 << 24));
  long.set([1, 0, 0, 1]); // its length
  const delta = Uint8Array.from([...varint(128), ...varint(4), ...varint(2 ** 31 - 1), 0]);
  const cases: [Claims, string][] = [
    [{ size: 1.8e9, codec: 6 }, "row 1: a page of it needs 1800000014 bytes; at most 201326592 are taken"],
    [{ size: 1.8e9, isDictionary: true }, "at most 201326592 are taken"],
    [{ data: zstdCompressSync(new Uint8Array(1e8)), codec: 6, size: 1000 }, "row 1: "],
    [{ data: packed, codec: 6, size: 15 }, "has 14 bytes, not 15"],
    [{ packed: 1e9 }, "a page of it is cut off"],
    [{ values: 2 ** 30, rows: 2 ** 30 }, "row 3: a page ends before its values do"],
    [{ rows: 3 }, "row 3: a row group ends before its rows do"],
    [{ rows: 1 }, "more rows than its metadata says"],
    [{ values: 2 ** 30, isDictionary: true }, "a dictionary claims 1073741824 values"],
    [{ values: 2 ** 22, isDictionary: true }, "a page ends before its values do"],
    [{ encoding: 8 }, "needs a dictionary that is not there"],
    [{ encoding: 5, data: delta }, "a page claims 2147483647 values"],
    [{ encoding: 7, data: delta }, "a page claims 2147483647 values"],
    [{ data: Uint8Array.of(255, 255, 255, 255) }, "a page ends before its values do"],
    [{ data: zstdCompressSync(long), codec: 6, size: long.length }, "a value has 16777217 bytes"],
    [{ codec: 3 }, "compressed in a way that is not read: LZO"],
    [{ offset: 1e12 }, "lie outside of it"],
    [{ groups: 2 ** 31 - 1 }, "its metadata is cut off"],
    [{ metadata: [0x19, 0xFC, ...varint(2 ** 31 - 1)] }, "its metadata is cut off"],
    [{ metadata: deep }, "nested too deeply"],
    [{ metadata: [0x19, 0xF9, 1, 0xF9, 1, 0xF9, 1, 0] }, "its metadata"],
    [{ metadataLength: 17 << 20 }, "at most 16777216 are read"],
    [{ metadataLength: 1e6 }, "longer than the file"],
  ];
  for (const [claims, message] of cases) {
    await assertRejects(() => readFile(parquet(claims)), ClozeError, message);
  }
  const encrypted = parquet();
  encrypted[encrypted.length - 1] = "E".charCodeAt(0);
  await assertRejects(() => readFile(encrypted), ClozeError, "it is encrypted");
});
