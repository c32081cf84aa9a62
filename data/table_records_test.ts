import { assert, assertEquals, assertRejects } from "@std/assert";
import { CORPUS_DEFAULTS, type CorpusConfig } from "../config/batch_config.ts";
import { ClozeError } from "../config/cloze_error.ts";
import { CorpusReport } from "./corpus_report.ts";
import { readRecords } from "./records.ts";

/** Values of the columns asked for, of a file with that content. */
async function read(
  name: string,
  content: string | Uint8Array,
  columns = "text",
  config: Partial<CorpusConfig> = {},
  report = new CorpusReport(),
): Promise<unknown[]> {
  const folder = await Deno.makeTempDir();
  try {
    const file = `${folder}/${name}`;
    await Deno.writeFile(file, typeof content === "string" ? new TextEncoder().encode(content) : content);
    const format = name.endsWith(".tsv") ? "tsv" : "csv";
    const blocks = readRecords({ file, format, from: 0, to: Infinity }, {
      config: { ...CORPUS_DEFAULTS, ...config },
      report,
      columns: () => [columns],
      hint: "a hint",
    });
    return (await Array.fromAsync(blocks)).flat().map(({ values }) => values[0]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("readTable counts a quote only where a field begins", async () => {
  const inches = 'id,text\n1,He is 6 feet 2" tall\n2,two\n3,"three, ""3"""\n4,and 5" long\n';
  assertEquals(await read("a.csv", inches), ['He is 6 feet 2" tall', "two", 'three, "3"', 'and 5" long']);
  assertEquals(await read("a.csv", 'text,id\n a "b",1\n"a" b,2\n"",3\n'), [' a "b"', "a b", ""]);
  assertEquals(await read("a.tsv", 'text\tid\n그는 "왔다\t1\n"a\tb"\t2\n'), ['그는 "왔다', "a\tb"]);
});

Deno.test("readTable refuses a row of more fields or fewer than the first has, or leaves it out and counts it", async () => {
  const cases: [string, string, string][] = [
    ["a.csv", "id,text\n1,row, with, commas\n2,ok\n", "line 2 has 4 fields; expected 2"],
    ["a.csv", "id,text\n2,ok\n3\n", "line 3 has 1 field; expected 2"],
    ["a.tsv", "id\ttext\n2\tok\n1\tone\ttwo\n", "line 3 has 3 fields; expected 2"],
    ["a.csv", '\uFEFFid,text\r\n\r\n"2\r\n2",ok\r\n3,x,', "line 5 has 3 fields; expected 2"],
    ["a.csv", "id,text\r2,ok\r3,x,y\r", "line 3 has 3 fields; expected 2"],
  ];
  for (const [name, content, message] of cases) {
    await assertRejects(() => read(name, content), ClozeError, message);
    await assertRejects(() => read(name, content, "text", { on_invalid: "replace" }), ClozeError, message);
    const report = new CorpusReport();
    assertEquals(await read(name, content, "text", { on_invalid: "skip" }, report), ["ok"]);
    assertEquals([report.malformed, report.invalid], [1, 0]);
  }
});

Deno.test("readTable reads LF, CR LF and CR, with the last line end or without, and leaves out empty lines", async () => {
  for (const end of ["\n", "\r\n", "\r"]) {
    const lines = ["text,id", "", "one,1", '"two' + end + 'lines",2', "  ", "three,3"];
    for (const content of [lines.join(end), lines.join(end) + end]) {
      assertEquals(await read("a.csv", content), ["one", `two${end}lines`, "three"]);
    }
  }
  assertEquals(await read("a.csv", "text,id"), []);
  assertEquals(await read("a.csv", ""), []);
  assertEquals(await read("a.csv", "text\none, two\n", "text", { delimiter: "|" }), ["one, two"]);
});

Deno.test("readTable finds what separates fields in the first line, or asks", async () => {
  for (const delimiter of [",", ";", "\t", "|"]) {
    assertEquals(await read("a.csv", `id${delimiter}text\n1${delimiter}x\n`), ["x"]);
    assertEquals(await read("a.csv", `7${delimiter}x y\n`, "2"), ["x y"]);
  }
  assertEquals(await read("a.csv", "text;a, or b\nx, y;1\n"), ["x, y"], "the column asked for decides");
  assertEquals(await read("a.csv", '"a;b",text\n1,x;y\n'), ["x;y"], "what is in quotes separates nothing");
  assertEquals(await read("a.tsv", "text\ta;b,c\nx\t1\n"), ["x"]);
  assertEquals(await read("a.csv", "text\nx\n"), ["x"]);
  await assertRejects(() => read("a.csv", "1;one, two\n", "2"), ClozeError, "separated by comma or semicolon");
  assertEquals(await read("a.csv", "1;one, two\n", "2", { delimiter: ";" }), ["one, two"]);
  assertEquals(await read("a.csv", "1 one\n", "2", { delimiter: " " }), ["one"]);
});

Deno.test("readTable takes columns by name or number, several as lines, and names what is not there", async () => {
  const content = 'title,body,"a,b",2\none,two,three,four\n,x,,\n';
  assertEquals(await read("a.csv", content, "title,body"), ["one\ntwo", "x"]);
  assertEquals(await read("a.csv", content, "a,b"), ["three", ""], "a column with the comma in its name goes first");
  assertEquals(await read("a.csv", content, "2,1"), ["body\ntitle", "two\none", "x"], "numbers: no line has names");
  await assertRejects(() => read("a.csv", content, "title,text"), ClozeError, 'has no column "text"; it has: "title"');
  await assertRejects(() => read("a.csv", content, "5"), ClozeError, 'has no column "5"; it has: "1", "2", "3", "4"');
  const undivided = await assertRejects(
    () => read("a.csv", content.replaceAll(",", "|"), "text", { delimiter: ";" }),
    ClozeError,
    'has no column "text"',
  );
  assert(undivided.hint?.startsWith("no semicolon is in its first line"), undivided.hint);
  await assertRejects(() => read("a.csv", "text,text\n1,2\n"), ClozeError, 'has more than one column "text"');
  assertEquals(await read("a.csv", "id,id,text,\n1,2,x,\n"), ["x"], "others may be there twice, or have no name");
});

Deno.test("readTable takes quotes in a .tsv as text where they can only be that, and counts such files", async () => {
  const stray = 'text\tlabel\n"그는 왔다\t1\n그녀는 "갔다"고 한다\t0\n끝이다"\t1\n';
  const report = new CorpusReport();
  assertEquals(await read("a.tsv", stray, "text", {}, report), ['"그는 왔다', '그녀는 "갔다"고 한다', '끝이다"']);
  assertEquals(report.unquoted, 1);
  const never = 'text\tlabel\na "b" c\t1\n"never closed\t0\nd\t1\n';
  assertEquals(await read("a.tsv", never), ['a "b" c', '"never closed', "d"]);
  const quoted = 'text\tlabel\n"a\nb\tc"\t1\nd\t0\n';
  assertEquals(await read("a.tsv", quoted, "text", {}, report), ["a\nb\tc", "d"]);
  assertEquals(report.unquoted, 1);
  assertEquals(await read("a.tsv", quoted.replace("d", 'd"'), "text", { quoting: "minimal" }), ["a\nb\tc", 'd"']);
  assertEquals(await read("a.csv", 'text,id\n"a,1\nb",2\n', "text", { quoting: "none" }), ['"a', 'b"']);
  await assertRejects(() => read("a.tsv", 'text\tlabel\n"open\t1\n'), ClozeError, "line 2 begins a field with a quote");
});

Deno.test("readTable leaves out, repairs or refuses records that are not UTF-8", async () => {
  const bytes = new TextEncoder().encode('text,id\r"one\r##\rthree",1\rfo\uFFFDr,2\r\r##,3\rlast,4');
  const content = bytes.map((byte) => byte === 35 ? 0xFF : byte);
  await assertRejects(() => read("a.csv", content), ClozeError, "is not UTF-8 text: line 3 is invalid");
  const report = new CorpusReport();
  assertEquals(await read("a.csv", content, "text", { on_invalid: "skip" }, report), ["fo\uFFFDr", "last"]);
  assertEquals(
    await read("a.csv", content, "text", { on_invalid: "replace" }, report),
    ["one\r\uFFFD\uFFFD\rthree", "fo\uFFFDr", "\uFFFD\uFFFD", "last"],
  );
  assertEquals(report.invalid, 4);
  await assertRejects(() => read("a.csv", "text\na\0b\n"), ClozeError, "NUL byte at or after line 1");
  const cut = new TextEncoder().encode("text\n가").subarray(0, 7);
  await assertRejects(() => read("a.csv", cut), ClozeError, "line 2 is invalid");
});
