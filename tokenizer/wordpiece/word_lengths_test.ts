import { assertEquals } from "@std/assert";
import { LONGEST_WORD, suitableWordLimit, type WordLimit } from "./word_lengths.ts";
import { wordCounter } from "../word_source.ts";

/** The limit for words of these lengths, so often each. */
function limitOf(words: [length: number, count: number][], least = 100, letter = "가"): WordLimit {
  const counter = wordCounter();
  for (const [length] of words) counter.add(letter.repeat(length));
  return suitableWordLimit({ ...counter.words, counts: Float64Array.from(words, ([, count]) => count) }, least);
}

Deno.test("suitableWordLimit stays at the least where words are no longer", () => {
  assertEquals(limitOf([[5, 10], [100, 10]]), { max_input_chars_per_word: 100, lost: 0, longest: 100 });
  assertEquals(limitOf([[150, 1]], 200).max_input_chars_per_word, 200);
  assertEquals(limitOf([]), { max_input_chars_per_word: 100, lost: 0, longest: 0 });
});

Deno.test("suitableWordLimit counts characters, not bytes", () => {
  for (const letter of ["a", "é", "가", "𐐀"]) {
    const { max_input_chars_per_word, longest } = limitOf([[101, 1], [250, 3]], 100, letter);
    assertEquals([max_input_chars_per_word, longest], [300, 250]);
  }
});

Deno.test("suitableWordLimit leaves one long word of a large text alone", () => {
  assertEquals(limitOf([[5, 1e6], [300, 1]]).max_input_chars_per_word, 100);
  assertEquals(limitOf([[5, 1e4], [300, 1]]).max_input_chars_per_word, 300);
});

Deno.test("suitableWordLimit goes as far as the words that matter, and not to the longest", () => {
  assertEquals(limitOf([[120, 50], [390, 50], [900, 1e-2]]).max_input_chars_per_word, 400);
  assertEquals(limitOf([[LONGEST_WORD, 1]]).max_input_chars_per_word, LONGEST_WORD);
  assertEquals(limitOf([[990, 1]], 250).max_input_chars_per_word, LONGEST_WORD);
});

Deno.test("suitableWordLimit says what no limit takes in, and does not rise for it", () => {
  assertEquals(limitOf([[50, 20], [1001, 1]]), {
    max_input_chars_per_word: 100,
    lost: 1001 / 2001,
    longest: 1001,
  });
  assertEquals(limitOf([[1500, 1]], 2000), { max_input_chars_per_word: 2000, lost: 0, longest: 1500 });
});
