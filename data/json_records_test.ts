import { assert, assertEquals, assertRejects } from "@std/assert";
import { CORPUS_DEFAULTS, type CorpusConfig } from "../config/batch_config.ts";
import { ClozeError } from "../config/cloze_error.ts";
import { textOf } from "./columns.ts";
import { CorpusReport } from "./corpus_report.ts";
import { JsonSplitter } from "./json_splitter.ts";
import { readRecords } from "./records.ts";

/** Values of a field, of a file with that content. */
async function read(
  name: string,
  content: string | Uint8Array,
  field = "text",
  config: Partial<CorpusConfig> = {},
  report = new CorpusReport(),
): Promise<unknown[]> {
  const folder = await Deno.makeTempDir();
  try {
    const file = `${folder}/${name}`;
    await Deno.writeFile(file, typeof content === "string" ? new TextEncoder().encode(content) : content);
    const format = name.endsWith(".json") ? "json" : "jsonl";
    const blocks = readRecords({ file, format, from: 0, to: Infinity }, {
      config: { ...CORPUS_DEFAULTS, ...config },
      report,
      columns: () => [field],
      hint: "a hint",
    });
    return (await Array.fromAsync(blocks)).flat().map(({ values }) => values[0]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const RECORDS = [
  { text: 'one "1" [} \\', id: 1 },
  { text: "두\n번째\\", more: { text: "[" } },
  { text: "", list: [[], {}] },
];

Deno.test("readJson reads an array, lines, and records one after another, on one line or several", async () => {
  const expected = RECORDS.map(({ text }) => text);
  for (const indent of [0, 2, "\t"]) {
    const each = RECORDS.map((record) => JSON.stringify(record, null, indent));
    for (const end of ["\n", "\r\n"]) {
      const shapes = [
        `[${each.join(",")}]`,
        ` [ ${each.join(` ,${end}`)} ] `,
        each.join(end),
        each.join(""),
        each.join(" "),
      ];
      for (const shape of [...shapes, `\uFEFF${each.join(end)}${end}`, JSON.stringify(RECORDS, null, indent)]) {
        assertEquals(await read("a.json", shape), expected, shape);
      }
    }
  }
  assertEquals(await read("a.json", "[]"), []);
  assertEquals(await read("a.json", ""), []);
});

Deno.test("JsonSplitter cuts alike wherever the blocks end", () => {
  for (const text of [JSON.stringify(RECORDS, null, 1), RECORDS.map((record) => JSON.stringify(record)).join("\n")]) {
    const cut = (size: number) => {
      const splitter = new JsonSplitter("a.json");
      const found = [];
      for (let at = 0; at < text.length; at += size) found.push(...splitter.push(text.slice(at, at + size)));
      return [...found, ...splitter.finish()].map(({ text, line }) => [JSON.parse(text), line]);
    };
    assertEquals(cut(text.length).map(([record]) => record), RECORDS);
    for (let size = 1; size < 20; size++) assertEquals(cut(size), cut(text.length));
  }
});

Deno.test("readJson names the line of what is no JSON, and does not take a broken file for a whole one", async () => {
  const cases: [string, string][] = [
    ['[{"text": "x"},\n{"text": }]', "line 2 is not JSON"],
    ['[{"text": "x"},\n{"text": "y"', "line 2 begins a record that does not end"],
    ['[{"text": "x"}\n', "ends before its array does"],
    ['[{"text": "x"}\n{"text": "y"}]', 'line 2 has "{"; expected , or ]'],
    ['[{"text": "x"}, ]', 'line 1 has "]"; expected a record'],
    ['[{"text": "x"}]\n[]', 'line 2 has "["; expected the end of the file'],
    ['{"text": "x"}\n{"text": "y}\n', "line 2 begins a record that does not end"],
    ['{"text": "x"}\nx\n', "line 2 is not JSON"],
    ['{"text": "x"},\n{"text": "y"}', 'line 1 has ","; expected a record'],
    ['["x"]', "line 1 is not a JSON object"],
    ['[1, "x"]', "line 1 is not a JSON object"],
    ['"x"', 'line 1 begins with "\\""; expected [ or {'],
    ["\n\ntext", 'line 3 begins with "t"; expected [ or {'],
    ['[{"text": "x"}, {"body": 1, "meta": {"text": 2}}]', 'line 1 has no field "text"; it has: body, meta.text'],
    [`[{"text": "${"x".repeat(1 << 24)}"}]`, "line 1 begins a record of more than 16777216 characters"],
  ];
  for (const [content, message] of cases) await assertRejects(() => read("a.json", content), ClozeError, message);
});

Deno.test("readJsonLines says what a line is that is no record, and where in the file it is", async () => {
  const cases: [string, string][] = [
    ["[\n", "line 2 is not JSON"],
    ['["x"]\n', "line 2 is not a JSON object, but a list of texts"],
    ['"x"\n', "line 2 is not a JSON object, but a text"],
    ['{"text": "x"},\n', "line 2 is not JSON"],
    ['{"text": "x"}{"text": "y"}\n', "line 2 is not JSON"],
    ['{"text": "x', "line 2 is not JSON"],
  ];
  for (const [content, message] of cases) {
    const error = await assertRejects(() => read("a.jsonl", `{"text": "a"}\n${content}`), ClozeError, message);
    assert(
      error.hint?.includes('such as {"text": "…"}: in a .jsonl file one on each line'),
      `${content}: ${error.hint}`,
    );
    assert(!/line 1|column/.test(error.message), error.message);
  }
  const wide = JSON.stringify(Object.fromEntries(Array.from({ length: 25 }, (_, i) => [`f${i}`, i])));
  await assertRejects(() => read("a.jsonl", wide), ClozeError, "f19 and 5 more");
});

Deno.test("fields inside of others are found by dots, several as lines; a field of the whole name goes first", async () => {
  const record = {
    "a.b": "literal",
    a: { b: "inner", "b.c": "dotted", c: { d: "deep" } },
    "x,y": "comma",
    x: "one",
    y: ["two", null, "three"],
    turns: [{ role: "user", content: "ask" }, { role: "bot", content: "answer" }],
    none: null,
  };
  const text = async (field: string) => textOf((await read("a.jsonl", JSON.stringify(record), field))[0]);
  assertEquals(await text("a.b"), "literal");
  assertEquals(await text("a.c.d"), "deep");
  assertEquals(await text("a.b.c"), "dotted");
  assertEquals(await text("x,y"), "comma");
  assertEquals(await text("x,a.c.d,y"), "one\ndeep\ntwo\nthree");
  assertEquals(await text("turns.content"), "ask\nanswer");
  assertEquals(await text("none.of.it"), "");
  assertEquals(await text("a"), undefined);
  await assertRejects(() => text("a.x"), ClozeError, 'has no field "a.x"');
  await assertRejects(() => text("turns.text"), ClozeError, 'has no field "turns.text"');
  await assertRejects(() => text("x,z"), ClozeError, 'has no field "z"');
});

Deno.test("half a surrogate pair in JSON is invalid as bytes are", async () => {
  const good = JSON.stringify({ text: "\u{1F600}" }), bad = '{"text": "a\\ud83d"}', list = '{"text": ["\\udc00"]}';
  for (const [name, content] of [["a.jsonl", [good, bad, list].join("\n")], ["a.json", `[${[good, bad, list]}]`]]) {
    await assertRejects(() => read(name, content), ClozeError, "has half a surrogate pair");
    const report = new CorpusReport();
    assertEquals(await read(name, content, "text", { on_invalid: "skip" }, report), ["\u{1F600}"]);
    const replaced = ["\u{1F600}", "a\uFFFD", ["\uFFFD"]];
    assertEquals(await read(name, content, "text", { on_invalid: "replace" }, report), replaced);
    assertEquals(report.invalid, 4);
  }
  const bytes = new TextEncoder().encode('[{"text": "#"},\n{"text": "x"}]').map((byte) => byte === 35 ? 0x80 : byte);
  await assertRejects(() => read("a.json", bytes), ClozeError, "line 1 is invalid");
  assertEquals(await read("a.json", bytes, "text", { on_invalid: "skip" }), ["x"]);
  assertEquals(await read("a.json", bytes, "text", { on_invalid: "replace" }), ["\uFFFD", "x"]);
});

Deno.test("JsonSplitter holds one record at a time", () => {
  const splitter = new JsonSplitter("a.json");
  const block = '{"text": "some words"},\n'.repeat(1000);
  let records = splitter.push("[").length;
  for (let i = 0; i < 1000; i++) records += splitter.push(block).length;
  assertEquals(records, 1e6);
  assert(splitter.push('{"text": ""}]').length === 1);
});
