import { assert, assertEquals } from "@std/assert";
import { SPECIAL_TOKENS, Tokenizer } from "./tokenizer.ts";
import { VocabularyTrainer } from "./vocabulary_trainer.ts";

const LINES = [
  "low lower lowest",
  "new newer newest",
  "wide wider widest",
  "낮은 낮다 낮게",
  "넓은 넓다 넓게",
  "low low low new",
];

function train(lines: string[], vocab_size: number, options = {}): string[] {
  const trainer = new VocabularyTrainer(options);
  lines.forEach((line) => trainer.add(line));
  return trainer.train(vocab_size);
}

Deno.test("train merges the most frequent pair first and breaks ties by the smaller ids", () => {
  const vocabulary = train(["ab ab ab cd cd cd ef"], 100);
  assertEquals(vocabulary, [...SPECIAL_TOKENS, "a", "b", "c", "d", "e", "f", "##b", "##d", "##f", "ab", "cd"]);
});

Deno.test("train gives the same vocabulary in any order of the text", () => {
  const expected = train(LINES, 60);
  assertEquals(train(LINES.toReversed(), 60), expected);
  assertEquals(train(LINES.flatMap((line) => line.split(" ")).toSorted(), 60), expected);
  assertEquals(expected.slice(0, 5), [...SPECIAL_TOKENS]);
  assertEquals(new Set(expected).size, expected.length);
});

Deno.test("train keeps to its size, its minimum frequency and its alphabet", () => {
  assertEquals(train(LINES, 35).length, 35);
  assert(!train(LINES, 1000, { min_frequency: 3 }).includes("넓은"));
  const few = train(LINES, 1000, { limit_alphabet: 3 });
  assertEquals(few.filter((token) => token.length === 1).length, 3);
  const tokenizer = new Tokenizer(few);
  assertEquals([...tokenizer.encode("qqq").ids], [tokenizer.special.unk]);
});

Deno.test("train covers its own text without [UNK]", () => {
  const tokenizer = new Tokenizer(train(LINES, 200));
  for (const line of LINES) assert(![...tokenizer.encode(line).ids].includes(tokenizer.special.unk));
  assert(tokenizer.encode("lowest").ids.length < 6, "common endings are merged");
});

Deno.test("train counts a pair that overlaps itself once", () => {
  const vocabulary = train(["aaaa aaaa aaaa"], 100);
  assert(vocabulary.includes("##aa") && vocabulary.includes("aaaa"), vocabulary.join(" "));
});
