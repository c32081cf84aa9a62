import { assert, assertEquals } from "@std/assert";
import { Alphabet } from "./alphabet.ts";
import type { WordCounts } from "../word_counter.ts";
import { wordCounter } from "../word_source.ts";

function counted(...texts: string[]): WordCounts {
  const counter = wordCounter();
  texts.forEach((text) => counter.add(text));
  return counter.words;
}

/** Words of one ideograph each: `different` ones, the first `frequent` of them `times` times. */
function ideographs(different: number, frequent: number, times: number): WordCounts {
  const words = counted(Array.from({ length: different }, (_, i) => String.fromCodePoint(0x4E00 + i)).join(""));
  return { ...words, counts: Float64Array.from({ length: different }, (_, i) => (i < frequent ? times : 1)) };
}

Deno.test("Alphabet has every character as a beginning, and with ## those that stand inside a word", () => {
  // tokenizers 0.23.3, WordPieceTrainer(vocab_size=5) on the same text: the same tokens.
  const { tokens, characters, kept, lostWords } = new Alphabet(counted("abc bca xa xa yz z,z 漢a q"));
  assertEquals(tokens, [",", "a", "b", "c", "q", "x", "y", "z", "漢", "##a", "##b", "##c", "##z"]);
  assertEquals([characters, kept, lostWords], [9, 9, 0]);
});

Deno.test("Alphabet with a limit keeps the most frequent characters, with their ## forms, whatever their code points", () => {
  const alphabet = new Alphabet(counted("힣힣 힣힣 ab ac"), 2);
  assertEquals(alphabet.tokens, ["a", "힣", "##힣"]);
  assertEquals([alphabet.characters, alphabet.kept, alphabet.lostWords], [4, 2, 2]);
});

Deno.test("Alphabet with a limit keeps the smaller code points of characters that are as frequent, in any order of text", () => {
  const words = ["나", "다", "가", "라", "마"];
  for (const order of [words, words.toReversed(), words.toSorted()]) {
    assertEquals(new Alphabet(counted(order.join(" ")), 3).tokens, ["가", "나", "다"]);
  }
});

Deno.test("Alphabet counts a word at most once among those that are lost", () => {
  assertEquals(new Alphabet(counted("aaaa aaaa bcbc"), 1).lostWords, 3);
  assertEquals(new Alphabet(counted("aaaa aaaa bcbc"), 0).tokens, []);
});

Deno.test("Alphabet keeps all of a large alphabet where its rare characters are much of the text", () => {
  const few = new Alphabet(ideographs(9000, 0, 1));
  assertEquals([few.kept, few.tokens.length, few.lostWords], [9000, 9000, 0]);
});

Deno.test("Alphabet leaves out the rarest of a large alphabet, and never one word in 100,000", () => {
  const words = ideographs(9000, 6500, 10_000); // 2,500 words in 65 million are of rare characters
  const { kept, lostWords, tokens } = new Alphabet(words);
  assertEquals([kept, lostWords], [9000 - 650, 650]);
  assertEquals(tokens.at(-1), String.fromCodePoint(0x4E00 + 9000 - 651));
  assert(650 <= 1e-5 * words.counts.reduce((a, b) => a + b), "one in 100,000");
  assertEquals(new Alphabet(ideographs(9000, 5000, 1e6)).kept, 6000);
});
