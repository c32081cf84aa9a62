import { assertEquals, assertRejects } from "@std/assert";
import { zstdCompressSync } from "node:zlib";
import { CORPUS_DEFAULTS, type CorpusConfig } from "../config/batch_config.ts";
import { ClozeError } from "../config/cloze_error.ts";
import { CorpusReport } from "./corpus_report.ts";
import { type LabeledColumns, readLabeled } from "./labeled.ts";

async function read(name: string, content: string | Uint8Array, columns?: LabeledColumns, config?: CorpusConfig) {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeFile(
      `${folder}/${name}`,
      typeof content === "string" ? new TextEncoder().encode(content) : content,
    );
    return await readLabeled(`${folder}/${name}`, columns, config);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const EXPECTED = [{ text: 'say "no", now', label: "1" }, { text: "좋다", label: "0" }];

Deno.test("readLabeled reads tsv, csv and jsonl alike", async () => {
  assertEquals(await read("a.tsv", '\uFEFFdocument\tlabel\r\nsay "no", now\t1\r\n\r\n좋다\t0'), EXPECTED);
  assertEquals(await read("a.csv", 'label,text\n1,"say ""no"", now"\n0,좋다\n'), EXPECTED);
  assertEquals(
    await read("a.jsonl", '{"text":"say \\"no\\", now","label":1}\n\n{"label":"0","text":"좋다"}\n'),
    EXPECTED,
  );
  const zipped = new Response(
    new Blob(["text\tlabel\n좋다\t0\n"]).stream().pipeThrough(new CompressionStream("gzip")),
  );
  assertEquals(await read("a.tsv.gz", new Uint8Array(await zipped.arrayBuffer())), [EXPECTED[1]]);
});

Deno.test("readLabeled reads .json, fields inside of others, several columns, and files whose names do not tell", async () => {
  const records = [{ meta: { text: "good" }, more: ["a", "b"], label: 1 }, {
    meta: { text: "bad" },
    more: null,
    label: 0,
  }];
  assertEquals(await read("a.json", JSON.stringify(records), { text: "meta.text,more" }), [
    { text: "good\na\nb", label: "1" },
    { text: "bad", label: "0" },
  ]);
  const semicolons = "document;label\n좋다;0\n";
  assertEquals(await read("a.csv", semicolons), [EXPECTED[1]]);
  assertEquals(await read("a.dat", semicolons, {}, { ...CORPUS_DEFAULTS, format: "csv" }), [EXPECTED[1]]);
});

Deno.test("readLabeled takes columns by name, and by number where there are no names", async () => {
  const columns = { text: "2", label: "1" };
  assertEquals(await read("a.tsv", "pos\tgood\nneg\tbad\n", columns), [
    { text: "good", label: "pos" },
    { text: "bad", label: "neg" },
  ]);
  const named = "id,review,stars,label\n7,good,5,x\n";
  assertEquals(await read("a.csv", named, { text: "review", label: "stars" }), [{ text: "good", label: "5" }]);
  assertEquals(await read("a.csv", 'text,label\n"two\nlines",1\n,2\n'), [
    { text: "two\nlines", label: "1" },
    { text: "", label: "2" },
  ]);
});

Deno.test("readLabeled reads what a corpus may be compressed with, and Parquet", async () => {
  const tsv = new TextEncoder().encode("text\tlabel\n좋다\t0\n");
  assertEquals(await read("a.tsv.zst", zstdCompressSync(tsv)), [EXPECTED[1]]);
  const parquet = await Deno.readFile(new URL("../tests/golden/text-snappy.parquet", import.meta.url));
  assertEquals((await read("a.parquet", parquet, { text: "id", label: "id" })).slice(4), [
    { text: "4", label: "4" },
    { text: "5", label: "5" },
  ]);
  const message = "row 3: the text is missing";
  await assertRejects(() => read("a.parquet", parquet, { label: "id" }), ClozeError, message);
});

Deno.test("readLabeled fails on invalid UTF-8, or replaces or skips it, and counts", async () => {
  const bytes = new Uint8Array([...new TextEncoder().encode("text\tlabel\ngood\t1\n"), 0xff, 9, 0x30, 10]);
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeFile(`${folder}/a.tsv`, bytes);
    const how = async (on_invalid: "replace" | "skip") => {
      const report = new CorpusReport();
      return [await readLabeled(`${folder}/a.tsv`, {}, { ...CORPUS_DEFAULTS, on_invalid }, report), report.invalid];
    };
    const good = { text: "good", label: "1" };
    assertEquals(await how("replace"), [[good, { text: "\uFFFD", label: "0" }], 1]);
    assertEquals(await how("skip"), [[good], 1]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("readLabeled names file, line and column of what is wrong", async () => {
  const refuse = async (name: string, content: string | Uint8Array, message: string, columns?: LabeledColumns) => {
    await assertRejects(() => read(name, content, columns), ClozeError, message);
  };
  await refuse("a.tsv", "text\tstars\ngood\t1\n", 'has no column "label"; it has: "text", "stars"');
  await refuse("a.tsv", "a\tb\tlabel\n1\t2\t3\n", 'has no column "text"');
  await refuse("a.tsv", "text\tlabel\ngood\n", "line 2 has 1 field; expected 2");
  await refuse("a.tsv", "text\tlabel\ngood\t \n", "line 2: the label is missing");
  await refuse("a.csv", 'text,label\n"good,1\n', "line 2 begins a field with a quote that is never closed");
  await refuse("a.csv", 'text,label\n"a\nb",1\nc\n', "line 4 has 1 field; expected 2");
  await refuse("a.csv", "text,label\ngood,", "line 2: the label is missing");
  await refuse("a.jsonl", '{"text":"good","label":1}\n{"text":"bad"}\n', 'line 2 has no field "label"; it has: text');
  await refuse("a.jsonl", '{"text":[5],"label":1}\n', "line 1: the text is [5]");
  await refuse("a.jsonl", '{"text":"good","label":{"a":1}}\n', 'line 1: the label is {"a":1}');
  await refuse("a.jsonl", "[1]\n", "line 1 is not a JSON object");
  await refuse("a.jsonl", "{\n", "line 1 is not JSON");
  await refuse("a.txt", "good\n", "is no kind of file that labels are read from");
  await refuse("a.tsv", "text\tlabel\n", "has no records");
  await refuse("a.tsv", "", "has no records");
  await refuse("a.tsv", Uint8Array.of(0xff, 9, 0xfe), "is not UTF-8 text: line 1 is invalid");
  await refuse("a.tsv.gz", "not gzip", "is a broken gzip file");
  await refuse("a.tsv", "x\ty\n", 'has no column "5"', { text: "5", label: "1" });
});
