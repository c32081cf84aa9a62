import { assertEquals } from "@std/assert";
import { groupsByTokens, packSequences } from "./packed_sequences.ts";

Deno.test("packSequences lays sequences end to end, each with its own positions", () => {
  const packed = packSequences([[2, 7, 3], [2, 3], [2, 8, 9, 3]]);
  assertEquals([...packed.input_ids], [2, 7, 3, 2, 3, 2, 8, 9, 3]);
  assertEquals([...packed.position_ids], [0, 1, 2, 0, 1, 0, 1, 2, 3]);
  assertEquals([...packed.cu_seqlens], [0, 3, 5, 9]);
  assertEquals([...packed.token_type_ids], new Array(9).fill(0));
});

Deno.test("groupsByTokens keeps the order, fills groups, and lets a long one stand alone", () => {
  assertEquals([...groupsByTokens([3, 4, 2, 11, 1, 9], (n) => n, 10)], [[3, 4, 2], [11], [1, 9]]);
  assertEquals([...groupsByTokens([], (n: number) => n, 10)], []);
});
