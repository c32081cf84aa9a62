import { assertEquals } from "@std/assert";
import { graphemeJoins, graphemesOf } from "./graphemes.ts";

Deno.test("graphemeJoins is true of every code point that shares a grapheme with a letter, a syllable or itself", () => {
  const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" });
  const wrong: string[] = [];
  for (let code = 0; code < 0x110000; code += 1) {
    if (code === 0xD800) code = 0xE000;
    // Planes without characters but the tags and selectors, which are at the beginning of plane 14.
    if ((code > 0x40000 && code < 0xE0000) || code > 0xE1000) continue;
    if (graphemeJoins(code)) continue;
    const character = String.fromCodePoint(code);
    const graphemes = [...segmenter.segment(`a${character}가${character}${character}a`)];
    if (graphemes.length !== 6) wrong.push(code.toString(16));
  }
  assertEquals(wrong, []);
});

Deno.test("graphemesOf goes to the next boundary between characters that join nothing", () => {
  assertEquals(graphemesOf("ae\u0301\u0323bc", 1), { graphemes: ["e\u0301\u0323", "b"], end: 5 });
  assertEquals(graphemesOf("\u1112\u1161\u11AB\u1100", 0).graphemes, ["\u1112\u1161\u11AB", "\u1100"]);
});
