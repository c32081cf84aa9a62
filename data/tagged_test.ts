import { assertEquals, assertRejects } from "@std/assert";
import { ClozeError } from "../config/cloze_error.ts";
import { isTagged, readTagged } from "./tagged.ts";

async function inFile<T>(name: string, content: string, run: (file: string) => Promise<T>): Promise<T> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/${name}`, content);
    return await run(`${folder}/${name}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("readTagged reads CoNLL: the tag is the last column, blank lines and -DOCSTART- end sentences", async () => {
  const text = "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\r\nrejects VBZ B-VP O\r\n\r\n\n서울에서\tNNP\tX\tB-LOC\n";
  const found = await inFile("a.conll", text, (file) => readTagged(file));
  assertEquals(found, [
    { words: ["EU", "rejects"], tags: ["B-ORG", "O"], place: "line 3" },
    { words: ["서울에서"], tags: ["B-LOC"], place: "line 7" },
  ]);
});

Deno.test("readTagged keeps white space other than between columns inside of words", async () => {
  const found = await inFile("a.conll", "10\u00a0000 B-N\n", (file) => readTagged(file));
  assertEquals(found[0].words, ["10\u00a0000"]);
});

Deno.test("readTagged reads records with any of the usual names, and numbers as tags", async () => {
  const read = (record: object) => inFile("a.jsonl", `\n${JSON.stringify(record)}\n`, (file) => readTagged(file));
  for (const name of ["tags", "ner_tags", "labels"]) {
    assertEquals(await read({ id: 1, tokens: ["a", "b c"], [name]: ["O", 3] }), [
      { words: ["a", "b c"], tags: ["O", "3"], place: "line 2" },
    ]);
  }
  const named = await inFile(
    "a.json",
    '[{"w": ["x"], "pos": ["N"]}]',
    (file) => readTagged(file, { text: "w", label: "pos" }),
  );
  assertEquals(named[0].tags, ["N"]);
});

Deno.test("isTagged tells records of tagged words from labeled text", async () => {
  const tells = (name: string, content: string) => inFile(name, content, (file) => isTagged(file));
  assertEquals(await tells("a.jsonl", '{"tokens": ["a"], "ner_tags": ["O"]}\n'), true);
  assertEquals(await tells("a.jsonl", '{"text": "a", "label": "O"}\n'), false);
  assertEquals(await tells("a.tsv", "tokens\ttags\n"), false);
  assertEquals(await tells("a.jsonl", ""), false);
});

Deno.test("readTagged names the line of what is no tagged word", async () => {
  const fails = (name: string, content: string, said: string) =>
    inFile(name, content, (file) => assertRejects(() => readTagged(file), ClozeError, said));
  await fails("a.conll", "a O\n\nb X O\n", "line 3 has 3 columns; expected 2");
  await fails("a.conll", "a\n", "at least a word and its tag");
  await fails("a.jsonl", '{"tokens": ["a"], "tags": "O"}\n', "line 1: the tags are no list");
  await fails("a.jsonl", '{"tokens": "a b", "tags": ["O"]}\n', "line 1: tokens is no list of words");
  await fails("a.jsonl", '{"tokens": [], "tags": []}\n', "no sentences");
});
