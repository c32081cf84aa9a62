import { assertEquals } from "@std/assert";
import { Trie } from "./trie.ts";

Deno.test("Trie.longest finds the longest token under its root, whatever was looked for before", () => {
  const trie = new Trie(["a", "ab", "abcd", "가", "가나", "🍂", "b", "##b", "##", "", "🍃c"], ["", "##"]);
  const longest = (root: number, text: string) => {
    const bytes = new TextEncoder().encode(`x${text}`);
    const id = trie.longest(root, bytes, 1, bytes.length);
    return id < 0 ? undefined : [id, trie.end - 1];
  };
  for (let again = 0; again < 2; again++) {
    assertEquals(longest(0, "abcz"), [1, 2]);
    assertEquals(longest(0, "abcd"), [2, 4]);
    assertEquals(longest(0, "가나다"), [4, 6]);
    assertEquals(longest(0, "🍂b"), [5, 4]);
    assertEquals(longest(0, "🍃c"), [10, 5]);
    assertEquals(longest(0, "##b"), [7, 3]);
    assertEquals(longest(0, "##"), [8, 2]);
    assertEquals(longest(1, "b"), [7, 1]);
    assertEquals([longest(1, "a"), longest(0, "z"), longest(0, ""), longest(0, "🍃")], [
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  }
});

Deno.test("Trie.longest agrees with a search through a thousand tokens", () => {
  let state = 1;
  const below = (n: number) => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % n;
  const word = () => Array.from({ length: 1 + below(5) }, () => "ab가나é"[below(5)]).join("");
  const tokens = [...new Set(Array.from({ length: 1000 }, word))];
  const trie = new Trie(tokens, [""]);
  for (let i = 0; i < 500; i++) {
    const text = word() + word(), bytes = new TextEncoder().encode(text);
    const expected = tokens.filter((token) => text.startsWith(token)).sort((a, b) => b.length - a.length)[0];
    const found = trie.longest(0, bytes, 0, bytes.length);
    assertEquals(tokens[found], expected);
  }
});

Deno.test("Trie.prefixes finds every token that a text begins with, and of two that are the same the last one", () => {
  const trie = new Trie(["a", "abc", "b", "a", "", "ab"], [""]);
  const bytes = new TextEncoder().encode("abd");
  assertEquals(trie.prefixes(0, bytes, 0, bytes.length), 2);
  assertEquals([trie.ids.slice(0, 2), trie.ends.slice(0, 2)], [[3, 5], [1, 2]]);
  assertEquals([trie.prefixes(0, bytes, 2, 3), trie.prefixes(0, bytes, 3, 3)], [0, 0]);
});
