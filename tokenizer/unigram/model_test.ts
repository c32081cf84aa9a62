import { assertEquals } from "@std/assert";
import { IdBuffer } from "../id_buffer.ts";
import { UnigramModel } from "./model.ts";

const encoder = new TextEncoder();

/** The ids of a word and where each ends. */
function match(model: UnigramModel, word: string): [number[], number[]] {
  const bytes = encoder.encode(word), out = new IdBuffer(), ends: number[] = [];
  model.match(bytes, 0, bytes.length, out, ends);
  return [[...out.view()], ends];
}

Deno.test("UnigramModel takes the largest sum of scores, and of equal ones the first found", () => {
  const model = new UnigramModel(["<unk>", "a", "b", "ab", "abc", "c", "bc"], [0, -1, -1, -2, -9, -1, -2], 0, false);
  // a|bc, ab|c and a|b|c all score -3: the one whose last piece begins first.
  assertEquals(match(model, "abc"), [[1, 6], [1, 3]]);
  assertEquals(match(model, "ab"), [[3], [2]]);
});

Deno.test("UnigramModel makes one of unknown characters beside each other, or bytes where they have pieces", () => {
  const plain = new UnigramModel(["<unk>", "a"], [0, -1], 0, false);
  assertEquals(match(plain, "a가나a"), [[1, 0, 1], [1, 7, 8]]);
  assertEquals(match(plain, "<unk>가"), [[0], [8]]);
  const bytes = ["<0xEA>", "<0xB0>", "<0x80>"];
  const fallback = new UnigramModel(["<unk>", "a", ...bytes], [0, -1, -2, -2, -2], 0, true);
  assertEquals(match(fallback, "a가"), [[1, 2, 3, 4], [1, 4, 4, 4]]);
  assertEquals(match(fallback, "나"), [[0], [3]]);
});

Deno.test("UnigramModel takes time with a word's length, not with its square", () => {
  const model = new UnigramModel(["<unk>", "a", "aa", "aaaa"], [0, -3, -4, -5], 0, false);
  const [ids] = match(model, "a".repeat(400_000));
  assertEquals(ids.length, 100_000);
  assertEquals(match(model, "x".repeat(400_000)), [[0], [400_000]]);
});
