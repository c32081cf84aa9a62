/** BPE against Hugging Face's numbers in tests/golden/bpe.json. */

import { assertEquals } from "@std/assert";
import { IdBuffer } from "../id_buffer.ts";
import { tokenizerOf } from "../json.ts";
import { parseObject } from "../outer_fields.ts";
import { tokenizerFiles } from "../tokenizer_files.ts";
import { wordCounter } from "../word_source.ts";
import { bpeWords, learnBpe } from "./trainer.ts";

interface Row {
  ids: number[];
  offsets: [number, number][];
  words: (number | null)[];
  special_tokens_mask: number[];
  decoded: string;
  pair: [ids: number[], type_ids: number[]];
}

const golden: {
  texts: string[];
  cases: { name: string; tokenizer: Record<string, unknown>; rows: Row[] }[];
  trained: { corpus: string[]; vocab: Record<string, number>; merges: [string, string][] };
} = JSON.parse(Deno.readTextFileSync(new URL("../../tests/golden/bpe.json", import.meta.url)));

const ALONE = { config: {}, specialTokensMap: {}, addedTokens: {}, isAlone: true, model: undefined };

for (const { name, tokenizer: json, rows } of golden.cases) {
  Deno.test(`encode and decode equal Hugging Face's, and stay so when the files are written: ${name}`, () => {
    const read = tokenizerOf(json, ALONE, "file", "model");
    const written = tokenizerOf(parseObject(tokenizerFiles(read, 512)["tokenizer.json"]), ALONE, "file", "model");
    for (const tokenizer of [read, written]) {
      golden.texts.forEach((text, i) => {
        const expected = rows[i], found = tokenizer.encode(text, { template: true });
        const inCodePoints = (offset: number) => Array.from(text.slice(0, offset)).length;
        assertEquals([...found.ids], expected.ids, text);
        assertEquals(found.words, expected.words, text);
        assertEquals(found.special_tokens_mask, expected.special_tokens_mask, text);
        assertEquals(found.offsets.map((range) => range.map(inCodePoints)), expected.offsets as number[][], text);
        assertEquals(tokenizer.decode(expected.ids), expected.decoded, text);
        const pair = tokenizer.encode(text, { template: true, pair: "a b" });
        assertEquals([[...pair.ids], pair.type_ids], expected.pair, text);
        const ids: number[] = [], bytes = new TextEncoder().encode(text), fast = new IdBuffer();
        tokenizer.encodeIds(text, ids);
        assertEquals(ids, [...tokenizer.encode(text).ids], text);
        tokenizer.encodeUtf8(bytes, 0, bytes.length, fast);
        assertEquals([...fast.view()], [...tokenizer.encode(text, { specials: "corpus" }).ids], text);
      });
    }
  });
}

Deno.test("learnBpe learns the vocabulary and the merges of Hugging Face's trainer, in any order of the text", () => {
  const { corpus, vocab, merges } = golden.trained;
  for (const texts of [corpus, corpus.toReversed()]) {
    const counter = wordCounter(bpeWords({ lowercase: false }));
    for (const text of texts) counter.add(text);
    const { vocabulary, data } = learnBpe(counter.words, { lowercase: false, vocab_size: 400 });
    assertEquals(Object.fromEntries(vocabulary.map((token, id) => [token, id])), vocab);
    if (data.model.type !== "BPE") throw new Error("it is no BPE");
    const ids = data.model.merges;
    assertEquals(merges.map(([left, right]) => [vocab[left], vocab[right], vocab[left + right]]).flat(), [...ids]);
  }
});
