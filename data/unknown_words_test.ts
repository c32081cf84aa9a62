import { assert, assertEquals } from "@std/assert";
import { CORPUS_DEFAULTS } from "../config/batch_config.ts";
import { SPECIAL_TOKENS, unknownCounts, WordPieceTokenizer } from "../tokenizer/mod.ts";
import { prepareShards } from "./prepare.ts";
import { Random } from "./rng.ts";
import { unknownOf, UnknownSample } from "./unknown_words.ts";

const tokenizer = new WordPieceTokenizer([...SPECIAL_TOKENS, "the", "cat", "##s", "a", "##b", "."], {
  max_input_chars_per_word: 10,
});
const idsOf = (text: string) => {
  const ids: number[] = [];
  tokenizer.encodeIds(text, ids);
  return ids;
};
const sampleOf = (...texts: string[]) => {
  const sample = new UnknownSample();
  for (const text of texts) sample.addText(text, idsOf(text), tokenizer);
  return sample;
};

Deno.test("unknownCounts and unknownOf count words, tokens and those that became [UNK]", () => {
  const ids = idsOf("the cats see a dog."); // the, cat ##s, [UNK], a, [UNK], .
  const counts = new Float64Array(tokenizer.size);
  for (const id of ids) counts[id]++;
  const expected = { words: 6, tokens: 7, unknown: 2 };
  assertEquals(unknownCounts(ids, tokenizer), expected);
  assertEquals(unknownOf(counts, tokenizer), expected);
});

Deno.test("UnknownSample tells words that are too long, in capitals, of another script", () => {
  assertEquals(sampleOf("the cats").causes(tokenizer), undefined);
  const causes = sampleOf("the abababababab cats", "The cats", "the ก, กข!", "the The")
    .causes(tokenizer)!;
  // Unknown: abababababab, The twice, ก, กข, the comma, the exclamation mark.
  assertEquals(causes.too_long, 0.1429);
  assertEquals(causes.cased, 0.2857);
  assertEquals(causes.lacking.map(({ script, share }) => [script, share]), [
    ["Latin", 0.2857],
    ["Thai", 0.2857],
    ["punctuation", 0.2857],
  ]);
  assertEquals(causes.lacking[1].characters, ["ก", "ข"]);
  assertEquals(causes.examples[0], "The", "the most frequent first");
});

Deno.test("UnknownSample shows long words cut, and what would steer a terminal by its number", () => {
  const raw = new WordPieceTokenizer([...SPECIAL_TOKENS, "a"], { normalizer: { clean_text: false } });
  const sample = new UnknownSample(), text = `b\u001b[31m ${"c".repeat(50)}`;
  const ids: number[] = [];
  raw.encodeIds(text, ids);
  sample.addText(text, ids, raw);
  const { examples } = sample.causes(raw)!;
  assert(examples.includes("bU+001B"), examples.join(" "));
  assert(examples.includes(`${"c".repeat(23)}…`), examples.join(" "));
});

Deno.test("UnknownSample keeps the same words with the same counts however the text is cut", () => {
  const random = new Random(1, 1).at(0, 0);
  const texts = Array.from({ length: 20_000 }, () => `z${random.below(6000)}`);
  const whole = sampleOf(...texts), merged = new UnknownSample();
  for (const part of [texts.slice(13_000), texts.slice(0, 50), texts.slice(50, 13_000)]) {
    merged.merge(sampleOf(...part).state);
  }
  const sorted = ({ state }: UnknownSample) => [...state.counts].sort(([a], [b]) => (a < b ? -1 : 1));
  assert(whole.state.counts.size > 100 && whole.state.counts.size <= 1024, `${whole.state.counts.size}`);
  assertEquals(merged.state.level, whole.state.level);
  assertEquals(sorted(merged), sorted(whole));
  const [[word, count]] = sorted(whole);
  assertEquals(count, texts.filter((text) => text === word).length, "whole counts");
});

Deno.test("a shard's header says why words became [UNK], the same for any number of workers", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const files = ["a", "b", "c"].map((name) => `${folder}/${name}.txt`);
    files.forEach((file, i) =>
      Deno.writeTextFileSync(file, Array.from({ length: 300 }, (_, k) => `the cats 뷁${(i * k) % 70} a ก.`).join("\n"))
    );
    const found = [];
    for (const threads of [1, 3]) {
      const source = { files, config: CORPUS_DEFAULTS };
      const { train, heldOut } = await prepareShards(`${folder}/${threads}`, source, tokenizer, { threads });
      found.push(train.header.corpus?.unknown);
      assertEquals(heldOut.header.corpus?.unknown, found.at(-1));
      const sum = unknownOf(train.counts, tokenizer).unknown + unknownOf(heldOut.counts, tokenizer).unknown;
      assertEquals(sum, 1800);
      train[Symbol.dispose]();
      heldOut[Symbol.dispose]();
    }
    assertEquals(found[0], found[1]);
    assertEquals(found[0]!.examples[0], "ก");
    assertEquals(found[0]!.lacking.map(({ script }) => script), ["Hangul", "Thai", "digits"]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
