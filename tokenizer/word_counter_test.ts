import { assertEquals } from "@std/assert";
import type { WordCounts } from "./word_counter.ts";
import { wordCounter } from "./word_source.ts";

const TEXT = "가을 낙엽 the leaves\nthe 漢字 가을, Straße the\n";

function asObject({ bytes, ends, counts }: WordCounts): Record<string, number> {
  const words: [string, number][] = [];
  ends.forEach((end, i) => words.push([new TextDecoder().decode(bytes.slice(ends[i - 1] ?? 0, end)), counts[i]]));
  return Object.fromEntries(words.sort(([a], [b]) => (a < b ? -1 : 1)));
}

Deno.test("add and addUtf8 count the same words", () => {
  const text = wordCounter(), bytes = wordCounter();
  text.add(TEXT);
  const utf8 = new TextEncoder().encode(`skipped ${TEXT} skipped`);
  bytes.addUtf8(utf8, 8, utf8.length - 8);
  const expected = { the: 3, "가을": 2, "낙엽": 1, leaves: 1, "漢": 1, "字": 1, ",": 1, "Straße": 1 };
  assertEquals(asObject(text.words), asObject(bytes.words));
  assertEquals(asObject(text.words), Object.fromEntries(Object.entries(expected).sort(([a], [b]) => (a < b ? -1 : 1))));
  assertEquals(text.size, 8);
});

Deno.test("merged parts are the whole, also after a trip to another thread", () => {
  const whole = wordCounter(), parts = wordCounter();
  for (const line of TEXT.split("\n")) {
    whole.add(line);
    const part = wordCounter();
    part.add(line);
    parts.merge(structuredClone(part.words));
  }
  assertEquals(asObject(parts.words), asObject(whole.words));
});

Deno.test("counts stay exact beyond 32 bits", () => {
  const counter = wordCounter();
  counter.add("a");
  const { bytes, ends } = structuredClone(counter.words);
  for (let i = 0; i < 3; i++) counter.merge({ bytes, ends, counts: Float64Array.of(2 ** 51) });
  assertEquals(asObject(counter.words), { a: 3 * 2 ** 51 + 1 });
});

Deno.test("many words, long words and growing tables lose nothing", () => {
  const counter = wordCounter();
  const words = Array.from({ length: 20_000 }, (_, i) => `w${i}` + "x".repeat(i % 1000 === 0 ? 5000 : 0));
  counter.add(words.join(" "));
  counter.add(words.slice(0, 10).join(" "));
  assertEquals(counter.size, words.length);
  const counts = asObject(counter.words);
  assertEquals(words.every((word, i) => counts[word] === (i < 10 ? 2 : 1)), true);
});
