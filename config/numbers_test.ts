import { assertEquals } from "@std/assert";
import { firstOf } from "./numbers.ts";

Deno.test("firstOf names so many, and says how many more there are", () => {
  assertEquals(firstOf([], 2), "");
  assertEquals(firstOf(["a", "b"], 2), "a, b");
  assertEquals(firstOf(["a", "b", "c", "d"], 2), "a, b and 2 more");
});
