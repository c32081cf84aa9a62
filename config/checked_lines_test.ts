import { assertEquals } from "@std/assert";
import { checkedLine, checkedLines } from "./checked_lines.ts";

const VALUES = [{ kind: "train", loss: 3.25, text: '고양이 "}' }, { kind: "end", step: 2 }, { n: 1e-9 }];

Deno.test("checkedLines gives what checkedLine was given, as one more field to other readers", () => {
  const text = VALUES.map(checkedLine).join("");
  assertEquals(checkedLines(text).lines.map(({ value }) => value), VALUES as Record<string, unknown>[]);
  const [first] = text.split("\n").map((line) => line && JSON.parse(line));
  assertEquals(Object.keys(first), ["kind", "loss", "text", "crc32"]);
  assertEquals(checkedLines(""), { lines: [], isCutOff: false });
  const plain = VALUES.map((value) => JSON.stringify(value) + "\n").join("");
  assertEquals(checkedLines(plain).lines.map(({ value }) => value), VALUES as Record<string, unknown>[]);
});

Deno.test("every changed byte of a line is noticed, and the other lines stay", () => {
  const bytes = new TextEncoder().encode(VALUES.map(checkedLine).join(""));
  for (let at = 0; at < bytes.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const bad = bytes.slice();
      bad[at] ^= 1 << bit;
      const { lines, isCutOff } = checkedLines(new TextDecoder().decode(bad));
      const whole = lines.filter(({ value }) => value !== undefined).map(({ value }) => value);
      assertEquals(whole.every((value) => VALUES.some((one) => JSON.stringify(one) === JSON.stringify(value))), true);
      assertEquals(lines.some(({ value }) => value === undefined) || isCutOff, true, `bit ${bit} of byte ${at}`);
    }
  }
});

Deno.test("a last line that is cut off is left out, and one that lacks only its end is not", () => {
  const text = VALUES.map(checkedLine).join("");
  const first = checkedLine(VALUES[0]).length;
  for (let length = 1; length < text.length; length++) {
    const { lines, isCutOff } = checkedLines(text.slice(0, length));
    const isWhole = text[length - 1] === "\n" || text[length] === "\n";
    assertEquals(isCutOff, !isWhole, `${length}`);
    assertEquals(lines.every(({ value }) => value !== undefined), true);
    if (length >= first) assertEquals(lines[0].value, VALUES[0]);
  }
});
