import { assert, assertEquals } from "@std/assert";
import { EMPTY_HASH, nextHash, WordTable } from "../word_table.ts";
import type { WordCounts } from "../word_counter.ts";
import { codeWords } from "./coded_words.ts";
import { seedPieces } from "./seeds.ts";
import { trainUnigram } from "./unigram_trainer.ts";

/** Counts of words that are given as text. */
function counted(words: Record<string, number>): WordCounts {
  const table = new WordTable(), counts: number[] = [];
  for (const [word, count] of Object.entries(words)) {
    const bytes = new TextEncoder().encode(word);
    let hash = EMPTY_HASH;
    for (const character of word) hash = nextHash(hash, character.codePointAt(0)!);
    table.findOrAdd(bytes, 0, bytes.length, hash);
    counts.push(count);
  }
  const { bytes, ends } = table.words;
  return { bytes: bytes.slice(), ends: ends.slice(), counts: Float64Array.from(counts) };
}

const WORDS = {
  "▁the": 90,
  "▁there": 20,
  "▁then": 15,
  "▁other": 12,
  "▁walking": 9,
  "▁walked": 8,
  "▁talking": 9,
  "▁talked": 7,
  "▁영화": 30,
  "▁영화는": 20,
  "▁영화가": 18,
  "▁영화를": 11,
  "▁배우는": 9,
  "▁배우가": 8,
  "▁배우를": 5,
  "▁x": 1,
  "▁q☃": 1,
};

Deno.test("seedPieces counts substrings with the frequencies of their words, and leaves out what is covered", () => {
  const words = counted({ ab: 2, abc: 3, xab: 1 });
  const coded = codeWords(words, [97, 98, 99, 120]);
  const { codes, ends, weights } = seedPieces(coded, 100);
  const pieces: Record<string, number> = {};
  for (let piece = 0, start = 0; piece < ends.length; start = ends[piece++]) {
    pieces[Array.from(codes.subarray(start, ends[piece]), (code) => "abcx"[code]).join("")] = weights[piece];
  }
  // "bc" is always in "abc".
  assertEquals(pieces, { a: 6, b: 6, c: 3, x: 1, ab: 12, abc: 9 });
});

Deno.test("trainUnigram gives no more pieces than asked for, the whole alphabet among them, the likeliest first", () => {
  const { pieces, scores } = trainUnigram(counted(WORDS), 40);
  assert(pieces.length <= 40 && pieces.length > 35, `${pieces.length} pieces`);
  assertEquals(new Set(pieces).size, pieces.length);
  const alphabet = new Set(Object.keys(WORDS).join(""));
  for (const character of alphabet) assert(pieces.includes(character), character);
  assert(pieces.includes("▁the") && pieces.includes("▁영화"));
  assertEquals(scores, scores.toSorted((a, b) => b - a));
  const sum = scores.reduce((sum, score) => sum + Math.exp(score), 0);
  assert(sum > 0.8 && sum <= 1.0001, `probabilities sum to ${sum}`);
});

Deno.test("trainUnigram gives the same for the same words in any order", () => {
  const reversed = Object.fromEntries(Object.entries(WORDS).reverse());
  for (const size of [30, 40, 55]) {
    assertEquals(trainUnigram(counted(reversed), size), trainUnigram(counted(WORDS), size));
  }
});

Deno.test("trainUnigram never cuts the alphabet, ends where there is nothing to learn, and takes long words", () => {
  assertEquals(trainUnigram(counted({ abc: 1 }), 1).pieces.toSorted(), ["a", "b", "c"]);
  assertEquals(trainUnigram(counted({}), 10), { pieces: [], scores: [] });
  const { pieces } = trainUnigram(counted({ ["ab".repeat(5000)]: 3, ["\u{1F600}".repeat(70)]: 2 }), 20);
  assert(pieces.every((piece) => Array.from(piece).length <= 16));
  const limited = trainUnigram(counted(WORDS), 40, { limit_alphabet: 10 });
  assertEquals(limited.pieces.filter((piece) => Array.from(piece).length === 1).length, 10);
});
