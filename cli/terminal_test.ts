import { assertEquals } from "@std/assert";
import { cut, folded, hanging, hintLines, table, terminalSize, widthOf } from "./terminal.ts";

Deno.test("terminalSize takes a terminal that does not know its size for one of the usual size", () => {
  const usual = { columns: 80, rows: 24 };
  assertEquals(terminalSize(() => ({ columns: 120, rows: 40 })), { columns: 120, rows: 40 });
  assertEquals(terminalSize(() => ({ columns: 0, rows: 0 })), usual);
  assertEquals(
    terminalSize(() => {
      throw new Error("no terminal");
    }),
    usual,
  );
});
Deno.test("widthOf counts Hangul, kana and emoji twice, and marks not at all", () => {
  assertEquals(["abc", "단순", "かな", "🍂", "e\u0301", "—…"].map(widthOf), [3, 4, 4, 2, 1, 2]);
});

Deno.test("folded breaks at spaces only, by width, and keeps every word", () => {
  assertEquals(folded("한국어 문장 하나", 11), ["한국어 문장", "하나"]);
  assertEquals(folded("a-word-that-is-too-long b", 5, "  "), ["a-word-that-is-too-long", "  b"]);
  assertEquals(folded("", 10), [""]);
  assertEquals(folded("  a b c", 5, "   "), ["  a b", "   c"]);
});

Deno.test("hanging puts what comes below under the text, and leaves a path whole", () => {
  assertEquals(hanging("loss     0.5 nats on blanks", 20), ["loss     0.5 nats on", "         blanks"]);
  assertEquals(hanging("folder   /a/path/longer/than/that", 20), ["folder   /a/path/longer/than/that"]);
  assertEquals(hanging("plain words here", 10), ["plain", "words here"]);
});

Deno.test("cut takes what fits, and no half of a character", () => {
  assertEquals([cut("한국어", 5), cut("ab🍂c", 3), cut("abc", 3)], ["한국", "ab", "abc"]);
});

Deno.test("table lines columns up by what a terminal shows", () => {
  const lines = table([["word", "n"], ["나무에서", "12"], ["a", "3"]]);
  assertEquals(lines, ["word       n", "나무에서  12", "a          3"]);
});

Deno.test("table puts the names of columns on two lines where it would be too wide, and only there", () => {
  const rows = [["by script", "95% interval", "n"], ["한글", "0.0%–0.3%", "12"]];
  assertEquals(table(rows, 29), ["by script  95% interval   n", "한글          0.0%–0.3%  12"]);
  assertEquals(table(rows, 26), ["by            95%", "script   interval   n", "한글    0.0%–0.3%  12"]);
  assertEquals(table(rows, 20, "n"), ["by            95%", "script   interval", "한글    0.0%–0.3%"]);
});

Deno.test("hintLines leaves a command whole, on a line of its own where it would be broken", () => {
  assertEquals(hintLines("train one with: cloze pretrain", "cloze", 40), ["hint: train one with: cloze pretrain"]);
  assertEquals(hintLines("train one with: cloze pretrain --steps 9", "cloze", 20), [
    "hint: train one",
    "with:",
    "  cloze pretrain --steps 9",
  ]);
  assertEquals(hintLines("cloze pretrain --steps 9 makes one", "cloze", 20), [
    "hint: cloze pretrain --steps 9 makes one",
  ]);
  assertEquals(hintLines("give another folder", "cloze", 20), ["hint: give another", "folder"]);
});
