import { assertEquals } from "@std/assert";
import { MEASURES, paceLine } from "./pace.ts";

Deno.test("paceLine says percent, rate and time left, each where it is known", () => {
  const bytes = (done: number, total: number, perSecond: number) =>
    paceLine("tokenizing", MEASURES.bytes, { done, total, perSecond });
  assertEquals(bytes(111e6, 300e6, 12e6), "tokenizing: 37% of 300 MB, 12 MB/s, 16s left");
  assertEquals(bytes(0, 300e6, NaN), "tokenizing: 0% of 300 MB");
  assertEquals(bytes(299.9e6, 300e6, 12e6), "tokenizing: 99% of 300 MB, 12 MB/s, 0s left");
  assertEquals(bytes(300e6, 300e6, 12e6), "tokenizing: 100% of 300 MB");
  assertEquals(bytes(1e9, 40.5e9, 10e6), "tokenizing: 2% of 40.5 GB, 10 MB/s, 1h 5m left");
  assertEquals(bytes(2e6, 4e6, 2e6), "tokenizing: 50% of 4.0 MB, 2.0 MB/s, 1s left");
  assertEquals(bytes(1, 999, 1), "tokenizing: 0% of 1 kB, 0.0 MB/s, 16m 38s left");
  const tokens = paceLine("learning", MEASURES.tokens, { done: 4000, total: 16000, perSecond: 2000 });
  assertEquals(tokens, "learning: 25% of 16,000 tokens, 6s left");
});
