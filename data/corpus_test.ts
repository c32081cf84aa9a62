import { assert, assertEquals, assertRejects } from "@std/assert";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { CORPUS_DEFAULTS, type CorpusConfig } from "../config/batch_config.ts";
import { ClozeError } from "../config/cloze_error.ts";
import { planUnits, readDocuments, readUnit } from "./corpus.ts";
import { CorpusReport } from "./corpus_report.ts";
import { and, by, object, subject, topic } from "./practice/particles.ts";
import { practiceCorpus } from "./practice/practice_corpus.ts";

async function withFiles(
  files: Record<string, string | Uint8Array>,
  run: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, content] of Object.entries(files)) {
      await Deno.mkdir(`${folder}/${name}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeFile(`${folder}/${name}`, typeof content === "string" ? encode(content) : content);
    }
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const encode = (text: string) => new TextEncoder().encode(text);

function reader(folder: string, config: Partial<CorpusConfig> = {}, report = new CorpusReport()) {
  return (...names: string[]) =>
    Array.fromAsync(readDocuments(names.map((name) => `${folder}/${name}`), { ...CORPUS_DEFAULTS, ...config }, report));
}

Deno.test("text: blank lines end documents, or lines where there are none; marks and line ends go away", async () => {
  const files = {
    "blank.txt": "\uFEFFone\r\ntwo\r\n\r\n\r\nthree\r\n",
    "lines.txt": "one\n two \nthree",
    "end.txt": "one\ntwo\n\n",
    "start.txt": "\n\none\n\ntwo",
    "white.txt": "one\n \t \ntwo\n",
  };
  await withFiles(files, async (folder) => {
    const read = reader(folder);
    assertEquals(await read("blank.txt"), [["one", "two"], ["three"]]);
    assertEquals(await read("lines.txt"), [["one"], ["two"], ["three"]]);
    assertEquals(await read("end.txt"), [["one"], ["two"]], "blank lines at the end separate nothing");
    assertEquals(await read("start.txt"), [["one"], ["two"]]);
    assertEquals(await read("white.txt"), [["one"], ["two"]], "a line of white space is blank");
    assertEquals(await read("blank.txt", "lines.txt"), [["one", "two"], ["three"], ["one"], ["two"], ["three"]]);
  });
});

Deno.test("gzip and zstd: also of several parts, and characters that cross a chunk; cut off they are refused", async () => {
  const text = "가나다라마바사 아자차카타파하\n".repeat(60_000);
  const [one, two] = [encode(text), encode("끝\n")];
  const random = crypto.getRandomValues(new Uint8Array(60_000)).map((byte) => 97 + byte % 26);
  const files = {
    "a.txt.gz": new Uint8Array([...gzipSync(one), ...gzipSync(two)]),
    "a.txt.zst": new Uint8Array([...zstdCompressSync(one), ...zstdCompressSync(two)]),
    "cut.txt.gz": gzipSync(random).subarray(0, 30_000),
    "cut.txt.zst": zstdCompressSync(random).subarray(0, 30_000),
    "fake.txt.gz": encode("this is no gzip"),
    "fake.txt.zst": encode("this is no zstd"),
  };
  await withFiles(files, async (folder) => {
    const read = reader(folder);
    for (const name of ["a.txt.gz", "a.txt.zst"]) {
      const documents = await read(name);
      assertEquals(documents.length, 60_001, name);
      assertEquals(new Set(documents.map(([line]) => line)), new Set(["가나다라마바사 아자차카타파하", "끝"]));
    }
    for (const name of ["cut.txt.gz", "fake.txt.gz"]) await assertRejects(() => read(name), ClozeError, "broken gzip");
    for (const name of ["cut.txt.zst", "fake.txt.zst"]) {
      await assertRejects(() => read(name), ClozeError, "broken zstd");
    }
  });
});

Deno.test("JSONL: a record is a document, its lines are sentences; what is wrong is named with its line", async () => {
  const files = {
    "a.jsonl": '{"text": "one\\ntwo", "id": 1}\r\n\n{"text": ""}\n{"text": null}\n{"text": "\\uD55C국 [SEP]"}\n',
    "a.ndjson.gz": gzipSync(encode('{"text": "one"}')),
    "body.jsonl": '{"body": "one"}\n{"body": "two"}\n',
    "number.jsonl": '{"text": "x"}\n{"text": 5}\n',
    "broken.jsonl": '{"text": "x"}\n{"text": \n',
    "list.jsonl": "[1]\n",
  };
  await withFiles(files, async (folder) => {
    const report = new CorpusReport();
    assertEquals(await reader(folder, {}, report)("a.jsonl"), [["one", "two"], ["한국 [SEP]"]]);
    assertEquals([report.documents, report.sentences, report.empty], [2, 3, 2]);
    const read = reader(folder);
    assertEquals(await read("a.ndjson.gz"), [["one"]]);
    assertEquals(await reader(folder, { text_column: "body" })("body.jsonl"), [["one"], ["two"]]);
    await assertRejects(() => read("body.jsonl"), ClozeError, 'line 1 has no field "text"; it has: body');
    await assertRejects(() => read("number.jsonl"), ClozeError, 'line 2 has a number in "text"');
    await assertRejects(() => read("broken.jsonl"), ClozeError, "line 2 is not JSON");
    await assertRejects(() => read("list.jsonl"), ClozeError, "line 1 is not a JSON object");
  });
});

Deno.test("runs of version 0.1.0 have a name of their own for the field of JSON records", async () => {
  const files = { "a.jsonl": '{"body": "one"}', "a.json": '[{"body": "two"}]', "a.csv": "text\nthree\n" };
  await withFiles(files, async (folder) => {
    const read = reader(folder, { text_field: "body" });
    assertEquals(await read("a.jsonl", "a.json", "a.csv"), [["one"], ["two"], ["three"]]);
  });
});

Deno.test("a list of texts, or several columns, become the lines of a document; other values are named", async () => {
  const files = {
    "a.jsonl": '{"text": ["one", null, "two"], "title": "t", "n": [["x"]], "o": {"p": [1]}}',
    "a.csv": 'title,body\none,"two\r\nthree"\n',
  };
  await withFiles(files, async (folder) => {
    const read = (column: string, name = "a.jsonl") => reader(folder, { text_column: column })(name);
    assertEquals(await read("text"), [["one", "two"]]);
    assertEquals(await read("title,text"), [["t", "one", "two"]]);
    assertEquals(await read("title,body", "a.csv"), [["one", "two", "three"]]);
    await assertRejects(() => read("n"), ClozeError, 'line 1 has a list of lists in "n", not a text');
    await assertRejects(() => read("o"), ClozeError, 'line 1 has an object in "o", not a text');
    await assertRejects(() => read("title,o.p"), ClozeError, 'has a list with a number in it in "title,o.p"');
  });
});

Deno.test("CSV and TSV: a record is a document, whatever is in its quotes", async () => {
  const files = {
    "a.csv": '\uFEFFid,"text"\r\n1,plain\r\n2,"a, b ""c"""\r\n3,"two\r\nlines"\r\n\r\n4,\r\n5,"x"\r\n',
    "none.csv": "1,one\n2,two\n",
    "short.csv": "id,text\n1\n",
    "open.csv": 'id,text\n1,"never closed\n2,x\n',
    "a.tsv": 'text\tlabel\n그는 "왔다\t1\nb,c\t0\n',
  };
  await withFiles(files, async (folder) => {
    const read = reader(folder);
    const report = new CorpusReport();
    assertEquals(await reader(folder, {}, report)("a.csv"), [["plain"], ['a, b "c"'], ["two", "lines"], ["x"]]);
    assertEquals(report.empty, 1);
    assertEquals(await reader(folder, { text_column: "2" })("none.csv"), [["one"], ["two"]]);
    await assertRejects(() => read("none.csv"), ClozeError, 'no column "text"; it has: "1", "one"');
    await assertRejects(() => read("short.csv"), ClozeError, "line 2 has 1 field; expected 2");
    await assertRejects(() => read("open.csv"), ClozeError, "line 2 begins a field with a quote that is never closed");
    assertEquals(await read("a.tsv"), [['그는 "왔다'], ["b,c"]]);
  });
});

Deno.test("Parquet written by pyarrow: plain pages of every codec, nulls, several row groups; also inside gzip", async () => {
  const golden = new URL("../tests/golden/", import.meta.url).pathname;
  const expected = [["one", "two"], ["한국어 문장"], ["three"], ["four"]];
  const read = reader(golden);
  for (const codec of ["none", "snappy", "gzip", "zstd", "brotli"]) {
    const report = new CorpusReport();
    assertEquals(await reader(golden, {}, report)(`text-${codec}.parquet`), expected, codec);
    assertEquals(report.empty, 2);
  }
  await assertRejects(
    () => reader(golden, { text_column: "body" })("text-none.parquet"),
    ClozeError,
    'no column "body"; it has: "text", "id"',
  );
  await assertRejects(
    () => reader(golden, { text_column: "id" })("text-none.parquet"),
    ClozeError,
    'row 1 has a number in "id", not a text',
  );
  const bytes = Deno.readFileSync(`${golden}/text-snappy.parquet`);
  await withFiles({ "a.parquet.gz": gzipSync(bytes), "cut.parquet": bytes.subarray(0, 100) }, async (folder) => {
    assertEquals(await reader(folder)("a.parquet.gz"), expected);
    await assertRejects(() => reader(folder)("cut.parquet"), ClozeError, "cannot be read as a Parquet file");
  });
  assertEquals((await read("text-none.parquet")).length, 4);
});

Deno.test("text whose lines end with CR alone is refused, CR LF is a line end", async () => {
  const files = {
    "mac.txt": "one\rtwo\rthree",
    "mac.jsonl": '{"text": "a"}\r{"text": "b"}\r',
    "dos.txt": "one\r\ntwo\r\n",
  };
  await withFiles({ ...files, "last.txt": "one\r", "some.txt": "one\rtwo\nthree\n" }, async (folder) => {
    for (const name of ["mac.txt", "mac.jsonl"]) {
      const error = await assertRejects(() => reader(folder)(name), ClozeError, "lines that end with CR alone");
      assertEquals(error.hint, "convert it first, for example with: tr '\\r' '\\n' < FILE > NEW");
    }
    assertEquals(await reader(folder)("dos.txt"), [["one"], ["two"]]);
    assertEquals(await reader(folder)("last.txt"), [["one"]]);
    assertEquals((await reader(folder)("some.txt")).length, 2);
  });
});

Deno.test("invalid UTF-8 fails with its line, or is replaced or skipped, and counted", async () => {
  const bad = (...parts: (string | number[])[]) =>
    new Uint8Array(parts.flatMap((part) => typeof part === "string" ? [...encode(part)] : part));
  const files = {
    "a.txt": bad("good\n", [0xE9], " bad\nfine\n", [0xED, 0xA0, 0x80], "\n\nnext\n"),
    "a.jsonl": bad('{"text": "one"}\n{"text": "', [0xFF], '"}\n{"text": "two"}\n'),
    "a.csv": bad('text\n"one\n', [0xFF], '\nthree"\nfour\n'),
    "nul.txt": bad("a\nb", [0], "\n"),
    "utf16.txt": bad([0xFF, 0xFE, 97, 0]),
    "le.txt": bad(Array.from("가나 다a\n", (c) => [c.charCodeAt(0) & 255, c.charCodeAt(0) >> 8]).flat()),
    "be.txt": bad(Array.from("가나 다a\n", (c) => [c.charCodeAt(0) >> 8, c.charCodeAt(0) & 255]).flat()),
  };
  await withFiles(files, async (folder) => {
    const reading = async (name: string, on_invalid: CorpusConfig["on_invalid"]) => {
      const report = new CorpusReport();
      return [await reader(folder, { on_invalid }, report)(name), report.invalid];
    };
    await assertRejects(() => reading("a.txt", "fail"), ClozeError, "not UTF-8 text: line 2 is invalid");
    const two = [["good", "\uFFFD bad", "fine", "\uFFFD\uFFFD\uFFFD"], ["next"]];
    assertEquals(await reading("a.txt", "replace"), [two, 2]);
    assertEquals(await reading("a.txt", "skip"), [[["good", "fine"], ["next"]], 2], "a skipped line ends no document");
    await assertRejects(() => reading("a.jsonl", "fail"), ClozeError, "line 2 is invalid");
    assertEquals(await reading("a.jsonl", "replace"), [[["one"], ["\uFFFD"], ["two"]], 1]);
    assertEquals(await reading("a.jsonl", "skip"), [[["one"], ["two"]], 1]);
    assertEquals(await reading("a.csv", "skip"), [[["four"]], 1], "a record that lost a line is left out");
    await assertRejects(() => reading("nul.txt", "replace"), ClozeError, "NUL byte at or after line 1");
    const error = await assertRejects(() => reading("utf16.txt", "replace"), ClozeError);
    assert(error.hint?.includes("UTF-16"));
    for (const [name, encoding] of [["le.txt", "UTF-16LE"], ["be.txt", "UTF-16BE"]]) {
      const { hint } = await assertRejects(() => reading(name, "replace"), ClozeError);
      assert(hint?.includes(`iconv -f ${encoding}`), `${name}: ${hint}`);
    }
  });
});

Deno.test("units cut files where a document can begin: together they are the file, whatever their size", async () => {
  const documents = Array.from(
    { length: 300 },
    (_, d) => Array.from({ length: 1 + d % 5 }, (_, s) => `${d}.${s} 가나다`),
  );
  const files = {
    "blank.txt": documents.map((lines) => lines.join("\r\n")).join("\r\n\r\n\n"),
    "lines.txt": documents.flat().join("\n"),
    "a.jsonl": documents.map((lines) => JSON.stringify({ text: lines.join("\n") })).join("\n"),
  };
  await withFiles(files, async (folder) => {
    for (const name of Object.keys(files)) {
      const expected = await reader(folder)(name);
      assertEquals(expected.flat(), documents.flat());
      for (const bytes of [1, 37, 500, 4096, 1e6]) {
        const found: string[][] = [];
        let open: string[] = [];
        const units = await planUnits([`${folder}/${name}`], CORPUS_DEFAULTS, bytes);
        assert(bytes > 1000 || units.length > 10, `${units.length} units of ${bytes} bytes`);
        for (const unit of units) {
          const sink = {
            sentence: (utf8: Uint8Array, from: number, to: number) =>
              void open.push(new TextDecoder().decode(utf8.subarray(from, to))),
            endDocument: () => {
              found.push(open);
              open = [];
            },
          };
          for await (const _ of readUnit(unit, CORPUS_DEFAULTS, new CorpusReport(), sink));
        }
        assertEquals(found, expected, `${name} in units of ${bytes} bytes`);
      }
    }
  });
});

Deno.test("errors in a later unit name the line of the file", async () => {
  const lines = Array.from({ length: 1000 }, (_, i) => `line ${i}`).join("\n");
  await withFiles({ "a.txt": new Uint8Array([...encode(lines), 10, 0xFF, 10]) }, async (folder) => {
    const [last] = (await planUnits([`${folder}/a.txt`], CORPUS_DEFAULTS, 1000)).slice(-1);
    const sink = { sentence: () => {}, endDocument: () => {} };
    const read = () => Array.fromAsync(readUnit(last, CORPUS_DEFAULTS, new CorpusReport(), sink));
    await assertRejects(read, ClozeError, "line 1001 is invalid");
  });
});

Deno.test("a document without end is cut, so that memory stays bounded", async () => {
  const sentence = "word ".repeat(200).trim();
  await withFiles({ "a.txt": `first\n\n${`${sentence}\n`.repeat(2500)}` }, async (folder) => {
    const documents = await reader(folder)("a.txt");
    assertEquals(documents.map((document) => document.length), [1, 1050, 1050, 400]);
  });
});

Deno.test("CorpusReport tells the share of repeated lines, exactly or from a sample, however it is merged", () => {
  const report = (lines: Iterable<string>) => {
    const report = new CorpusReport();
    for (const line of lines) report.sentence(encode(line), 0, encode(line).length);
    return report;
  };
  assertEquals(report(["a", "b", "a", "a"]).counts.duplicate_share, 0.5);
  assertEquals(report([]).counts.duplicate_share, 0);
  const lines = Array.from({ length: 240_000 }, (_, i) => `this is line number ${i % 180_000}`);
  const whole = report(lines);
  assert(Math.abs(whole.counts.duplicate_share - 0.25) < 0.01, `${whole.counts.duplicate_share}`);
  for (const parts of [2, 5]) {
    const merged = new CorpusReport();
    for (let part = 0; part < parts; part++) merged.merge(report(lines.filter((_, i) => i % parts === part)).state);
    assertEquals(merged.counts, whole.counts);
  }
});

Deno.test("particles follow the last syllable", () => {
  assertEquals([topic("물"), topic("나무")], ["물은", "나무는"]);
  assertEquals([subject("눈"), subject("새")], ["눈이", "새가"]);
  assertEquals([object("쌀"), object("차")], ["쌀을", "차를"]);
  assertEquals([and("빵"), and("바다")], ["빵과", "바다와"]);
  assertEquals([by("기차"), by("트럭"), by("연필")], ["기차로", "트럭으로", "연필로"]);
});

Deno.test("practiceCorpus is the same for a seed, in both languages, and varied", () => {
  const documents = [...practiceCorpus(0, 2000)];
  assertEquals(documents, [...practiceCorpus(0, 2000)]);
  const sentences = documents.flat();
  assertEquals(sentences.filter((s) => /^\s|\s$|undefined| {2}|\.\./.test(s)), []);
  const korean = sentences.filter((s) => /[가-힣]/.test(s)).length / sentences.length;
  assertEquals(korean > 0.4 && korean < 0.6, true);
  assertEquals(new Set(sentences).size / sentences.length > 0.4, true);
});
