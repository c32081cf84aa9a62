import { assertEquals, assertStringIncludes } from "@std/assert";
import { IdBuffer } from "./id_buffer.ts";
import { loadTokenizer } from "./files.ts";
import { isBertSpecial } from "./added_tokens.ts";
import { tokenizerFiles } from "./tokenizer_files.ts";
import type { Tokenizer } from "./tokenizer.ts";

interface Golden {
  texts: string[];
  cases: { name: string; files: Record<string, unknown>; ids: number[][]; decoded: string[] }[];
}

const golden: Golden = JSON.parse(
  Deno.readTextFileSync(new URL("../tests/golden/tokenizer_files.json", import.meta.url)),
);

/** The tokenizer of a folder with these files. */
async function loaded(files: Record<string, unknown>): Promise<Tokenizer> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, content] of Object.entries(files)) {
      await Deno.writeTextFile(`${folder}/${name}`, typeof content === "string" ? content : JSON.stringify(content));
    }
    return await loadTokenizer(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The ids of a text in every way that it can be encoded. */
function waysOf(tokenizer: Tokenizer, text: string): number[][] {
  const fast: number[] = [], corpus = new IdBuffer(), utf8 = new TextEncoder().encode(text);
  tokenizer.encodeIds(text, fast);
  tokenizer.encodeUtf8(utf8, 0, utf8.length, corpus);
  const isPlain = !tokenizer.added_tokens.some(({ content }) => isBertSpecial(content) && text.includes(content));
  return [[...tokenizer.encode(text).ids], fast, ...(isPlain ? [[...corpus.view()]] : [])];
}

Deno.test("loadTokenizer gives the ids of transformers for each folder, and for what is written of it", async (t) => {
  for (const { name, files, ids } of golden.cases) {
    await t.step(name, async () => {
      const tokenizer = await loaded(files);
      const again = await loaded(tokenizerFiles(tokenizer, 512));
      golden.texts.forEach((text, i) => {
        for (const way of waysOf(tokenizer, text)) assertEquals(way, ids[i], text);
        // What is written names BERT's own tokens as special.
        if (!/\[(PAD|UNK|CLS|SEP|MASK)\]/.test(text)) assertEquals([...again.encode(text).ids], ids[i], text);
      });
    });
  }
});

Deno.test("decode gives the text of transformers", async () => {
  for (const { name, files, ids, decoded } of golden.cases) {
    const tokenizer = await loaded(files);
    ids.forEach((row, i) => assertEquals(tokenizer.decode(row), decoded[i], name));
  }
});

Deno.test("notes say where tokenizer.json is not followed, and which id a token has", async () => {
  const notesOf = async (name: string) =>
    (await loaded(golden.cases.find((found) => found.name === name)!.files)).notes.join("\n");
  assertEquals(await notesOf("NFC"), "");
  assertStringIncludes(
    await notesOf("BertTokenizer that lowercases against the file"),
    "tokenizer.json says lowercase false, strip_accents false; as in transformers",
  );
  assertStringIncludes(await notesOf("BertTokenizer by the model's type"), "max_input_chars_per_word 100");
  assertStringIncludes(
    await notesOf("an id that is not the next one"),
    '"[URL]" the id 99, but as in Hugging Face it has 31',
  );
});
