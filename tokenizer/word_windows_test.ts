import { assertEquals } from "@std/assert";
import { SPECIAL_TOKENS } from "./added_tokens.ts";
import { joinedWords, rawWords, wordWindows } from "./word_windows.ts";
import { WordPieceTokenizer } from "./wordpiece/tokenizer.ts";

const PIECES = ["a", "dog", "dogs", "##s", "##x", "bird", ".", ","];
const tokenizer = new WordPieceTokenizer([...SPECIAL_TOKENS, ...PIECES], {
  normalizer: { lowercase: false, strip_accents: false, nfc: false },
  added_tokens: [],
});
const id = (token: string) => tokenizer.idOf(token)!;

Deno.test("rawWords sets punctuation at the ends of words apart, and leaves that inside alone", () => {
  const text = ' "Kim (34), of U.S.-based  서울에서!?\n';
  assertEquals(rawWords(text).map(([from, to]) => text.slice(from, to)), [
    ...['"', "Kim", "(", "34", ")", ",", "of", "U.S.-based", "서울에서", "!", "?"],
  ]);
  assertEquals(rawWords(" \n"), []);
});

Deno.test("wordWindows finds the first piece of each word", () => {
  const { text, places } = joinedWords(["a", "dogsxx", "bird.", "."]);
  const { windows, unseen, cut } = wordWindows(text, places, tokenizer, 16);
  const pieces = ["[CLS]", "a", "dogs", "##x", "##x", "bird", ".", ".", "[SEP]"];
  assertEquals(windows, [{
    ids: Int32Array.from(pieces, id),
    positions: [1, 2, 5, 7],
    words: [0, 1, 2, 3],
  }]);
  assertEquals([unseen, cut], [0, 0]);
});

Deno.test("wordWindows passes over words that have no piece, and counts them", () => {
  const { text, places } = joinedWords(["a", "\u0000", "", "dog", "\u200b"]);
  const { windows: [{ positions, words }], unseen } = wordWindows(text, places, tokenizer, 16);
  assertEquals([positions, words, unseen], [[1, 2], [0, 3], 3]);
  assertEquals(wordWindows("", [], tokenizer, 16), { windows: [], unseen: 0, cut: 0 });
});

Deno.test("wordWindows cuts long texts between words, and words that are longer than a window", () => {
  const { text, places } = joinedWords(["a", "dogsx", "bird", "dogsxxxxxx", "a"]);
  const { windows, unseen, cut } = wordWindows(text, places, tokenizer, 5);
  const tokens = windows.map(({ ids }) => Array.from(ids.subarray(1, -1), (id) => tokenizer.tokenOf(id)).join(" "));
  assertEquals(tokens, ["a dogs ##x", "bird", "dogs ##x ##x", "a"]);
  assertEquals(windows.map(({ words }) => words), [[0, 1], [2], [3], [4]]);
  assertEquals([unseen, cut], [0, 1]);
});
