import { assertEquals, assertThrows } from "@std/assert";
import { ClozeError } from "../../config/cloze_error.ts";
import { Charsmap } from "./charsmap.ts";

const golden = JSON.parse(Deno.readTextFileSync(new URL("../../tests/golden/unigram.json", import.meta.url)));
const base64: string = golden.cases[0].file.normalizer.normalizers[0].precompiled_charsmap;
const map = new Charsmap(base64);

/** What a text becomes. */
function normalized(text: string): string {
  let out = "";
  map.visit(text, (chunk, replacement) => out += replacement ?? chunk);
  return out;
}

Deno.test("Charsmap.replacement finds keys of one and of several characters, and empty replacements", () => {
  assertEquals(map.replacement("\uFF21"), "A");
  assertEquals(map.replacement("e\u0301"), "é");
  assertEquals(map.replacement("\u0001"), "");
  assertEquals(map.replacement("a"), undefined);
  assertEquals(map.replacement("\0"), undefined);
});

Deno.test("Charsmap.replacement takes the shortest key that the chunk begins with", () => {
  assertEquals(map.replacement("e\u0301\u0323"), "é");
  assertEquals(map.replacement("\uFF21\u0301"), "A");
});

Deno.test("Charsmap.visit looks graphemes of up to five bytes up whole, and the characters of longer ones", () => {
  assertEquals(normalized("xe\u0301y"), "xéy");
  // a, U+0323, U+0306 are five bytes: one key. With one more mark they are seven, and none of the characters is a key.
  assertEquals(normalized("a\u0323\u0306"), "\u1EB7");
  assertEquals(normalized("a\u0323\u0306\u0301"), "a\u0323\u0306\u0301");
  // The whole grapheme becomes what its beginning does.
  assertEquals(normalized("\uFF21\u0301b"), "Ab");
  assertEquals(normalized("\r\n"), " ");
});

Deno.test("Charsmap refuses what is no charsmap", () => {
  const cases = ["", "AA==", "!!!!", "/////w==", btoa("\x04\0\0\0\0\0\0\0\xFF")];
  for (const wrong of cases) assertThrows(() => new Charsmap(wrong), ClozeError, "precompiled_charsmap is damaged");
  // A root whose children are outside the trie.
  const outside = new Charsmap(btoa("\x04\0\0\0\0\xFF\0\0abc\0"));
  assertThrows(() => outside.replacement("a"), ClozeError, "outside itself");
});
