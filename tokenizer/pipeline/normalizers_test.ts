import { assertEquals, assertThrows } from "@std/assert";
import { ClozeError } from "../../config/cloze_error.ts";
import { aligned } from "../aligned_text.ts";
import { EditedText } from "./edited_text.ts";
import { readNormalizer } from "./normalizers.ts";

/** What a normalizer makes of a text, and where that stood. */
function both(json: Record<string, unknown>, text: string): [string, number[], number[]] {
  const edited = new EditedText(aligned(text)), step = readNormalizer(json);
  step.edit(edited);
  assertEquals(edited.text, step.plain(text));
  return [edited.text, edited.starts, edited.ends];
}

Deno.test("Replace gives what it puts in the place of the last character that it takes away", () => {
  const spaces = { type: "Replace", pattern: { Regex: " {2,}" }, content: "xy" };
  assertEquals(both(spaces, "a   b c"), ["axyb c", [0, 3, 3, 4, 5, 6], [1, 4, 4, 5, 6, 7]]);
  const text = { type: "Replace", pattern: { String: "``" }, content: '"' };
  assertEquals(both(text, "```a"), ['"`a', [1, 2, 3], [2, 3, 4]]);
});

Deno.test("Strip, Nmt, StripAccents and Lowercase keep the places of what stays", () => {
  assertEquals(both({ type: "Strip", strip_left: true, strip_right: true }, " \u3000a b\n"), ["a b", [2, 3, 4], [
    3,
    4,
    5,
  ]]);
  assertEquals(both({ type: "Nmt" }, "\x01a\x02\tb"), ["a b", [1, 3, 4], [2, 4, 5]]);
  assertEquals(both({ type: "StripAccents" }, "e\u0301x"), ["ex", [0, 2], [1, 3]]);
  assertEquals(both({ type: "Lowercase" }, "İA"), ["i\u0307a", [0, 0, 1], [1, 1, 2]]);
});

Deno.test("readNormalizer refuses by name what is not read", () => {
  const refused: [Record<string, unknown>, string][] = [
    [{ type: "ByteLevel" }, '"ByteLevel" is not one'],
    [{ type: "Replace", pattern: { Regex: "\\d+" }, content: " " }, "normalizer.pattern"],
    [{ type: "Replace", pattern: { String: "" }, content: " " }, "normalizer.pattern.String"],
    [{ type: "Strip", strip_left: 1, strip_right: true }, "normalizer.strip_left"],
    [{ type: "Precompiled", precompiled_charsmap: null }, "normalizer.precompiled_charsmap"],
  ];
  for (const [json, message] of refused) assertThrows(() => readNormalizer(json), ClozeError, message);
});
