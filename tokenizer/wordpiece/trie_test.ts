import { assertEquals } from "@std/assert";
import { Trie } from "./trie.ts";

Deno.test("Trie.longest finds the longest string under its root, whenever it was added", () => {
  const strings = ["a", "ab", "abcd", "가", "가나", "🍂", "b"];
  const trie = new Trie(2);
  const longest = (root: number, text: string) => {
    const bytes = new TextEncoder().encode(`x${text}`);
    const value = trie.longest(root, bytes, 1, bytes.length);
    return value < 0 ? undefined : [value, trie.end - 1];
  };
  strings.forEach((text, i) => trie.add(0, text, i));
  trie.add(1, "b", 70);
  for (let again = 0; again < 2; again++) {
    assertEquals(longest(0, "abcz"), [1, 2]);
    assertEquals(longest(0, "abcd"), [2, 4]);
    assertEquals(longest(0, "가나다"), [4, 6]);
    assertEquals(longest(0, "🍂b"), [5, 4]);
    assertEquals(longest(1, "b"), [70, 1]);
    assertEquals([longest(1, "a"), longest(0, "z"), longest(0, "")], [undefined, undefined, undefined]);
  }
  trie.add(0, "abc", 7);
  assertEquals(longest(0, "abcz"), [7, 3]);
});

Deno.test("Trie.add and Trie.longest agree with a search through a thousand strings", () => {
  let state = 1;
  const below = (n: number) => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % n;
  const word = () => Array.from({ length: 1 + below(5) }, () => "ab가나é"[below(5)]).join("");
  const strings = [...new Set(Array.from({ length: 1000 }, word))];
  const trie = new Trie(1);
  strings.forEach((text, i) => trie.add(0, text, i));
  for (let i = 0; i < 500; i++) {
    const text = word() + word(), bytes = new TextEncoder().encode(text);
    const expected = strings.filter((string) => text.startsWith(string)).sort((a, b) => b.length - a.length)[0];
    const found = trie.longest(0, bytes, 0, bytes.length);
    assertEquals(strings[found], expected);
  }
});
