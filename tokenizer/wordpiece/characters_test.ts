import { assertEquals } from "@std/assert";
import { createHash } from "node:crypto";
import { CHARACTERS, CONTROL, CONTROL_SPACE, IDEOGRAPH, LETTER, PUNCTUATION, SPACE } from "./characters.ts";

const NAMES: Record<number, string> = {
  [LETTER]: "letter",
  [SPACE]: "space",
  [PUNCTUATION]: "punctuation",
  [CONTROL]: "control",
  [CONTROL_SPACE]: "control",
  [IDEOGRAPH]: "ideograph",
};

Deno.test("every code point is to cloze what it is to Hugging Face: class, without accents, in lower case", async () => {
  const golden = JSON.parse(await Deno.readTextFile(new URL("../../tests/golden/code_points.json", import.meta.url)));
  const characters = CHARACTERS.huggingface;
  const different = golden.sha256.filter((expected: string, block: number) => {
    const hash = createHash("sha256");
    let rows = "";
    for (let code = block * golden.block; code < (block + 1) * golden.block; code++) {
      if (code >= 0xD800 && code < 0xE000) continue;
      const character = String.fromCodePoint(code);
      const [stripped, lowered] = [characters.fold(character, false, true), characters.fold(character, true, false)];
      rows += `${code.toString(16)} ${NAMES[characters.classOf(code)]} ${stripped} ${lowered}\n`;
    }
    return rows !== "" && hash.update(rows).digest("hex").slice(0, 16) !== expected;
  });
  assertEquals(different.length, 0, "tests/parity/code_points.py tells which code points differ");
});

Deno.test("Google's rules differ where they are known to", () => {
  const { huggingface, google } = CHARACTERS;
  const classes = (code: number) => [NAMES[huggingface.classOf(code)], NAMES[google.classOf(code)]];
  assertEquals(classes(0xE000), ["control", "letter"]); // private use
  assertEquals(classes(0x2B820), ["letter", "ideograph"]);
  assertEquals(classes(0x2B920), ["ideograph", "ideograph"]);
  assertEquals(classes(0x2E43), ["letter", "punctuation"]); // newer than Hugging Face's tables
  assertEquals(classes(0x166D), ["punctuation", "letter"]);
  for (const compat of [huggingface, google]) {
    assertEquals(compat.fold("É", true, true), "e");
    assertEquals(compat.fold("한", true, true), "\u1112\u1161\u11AB");
    assertEquals(compat.fold("한", true, false), "한");
  }
  assertEquals(huggingface.fold("\u{1ABF}", false, true), "\u{1ABF}");
  assertEquals(google.fold("\u{1ABF}", false, true), "");
});
