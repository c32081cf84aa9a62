import { assertEquals } from "@std/assert";
import { visible, visibleLine } from "./visible.ts";

Deno.test("visible escapes what a terminal obeys or what turns text around, and nothing else", () => {
  const fine = 'a\tb\nc 한글 שלום "x" \\ \u00a0\u200d\u{1f600}';
  assertEquals(visible(fine), fine);
  assertEquals(visible("\x1b[31m\x07\r\x00"), "\\x1b[31m\\x07\\x0d\\x00");
  assertEquals(visible("\x7f\x9b31m\x85"), "\\u007f\\u009b31m\\u0085");
  assertEquals(visible("\u202eabc\u2066\u2069\u200e\u200f\u061c"), "\\u202eabc\\u2066\\u2069\\u200e\\u200f\\u061c");
  assertEquals(visible("\u2028\u2029\u202a\u202d"), "\\u2028\\u2029\\u202a\\u202d");
  assertEquals(visibleLine("a\tb\nc\x1b"), "a\\tb\\nc\\x1b");
});

Deno.test("visible leaves JSON with the same content", () => {
  let all = "";
  for (let code = 0; code < 0x2100; code++) all += String.fromCharCode(code);
  const shown = visible(JSON.stringify({ all }));
  assertEquals(JSON.parse(shown), { all });
  assertEquals(visible(shown), shown);
});
