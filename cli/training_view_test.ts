import { assertEquals } from "@std/assert";
import { TimeLeft } from "./training_view.ts";

Deno.test("TimeLeft says nothing in the first seconds and then goes by the rate since then", () => {
  const left = new TimeLeft();
  assertEquals(left.of(2000, 0.001), undefined, "a slow beginning");
  assertEquals(left.of(4000, 0.051), undefined);
  assertEquals(Math.round(left.of(12_000, 0.251)!), 29_960, "a quarter in ten seconds");
  assertEquals(left.of(12_000, 1), 0);
});

Deno.test("TimeLeft of a run that goes on is by the rate from there on", () => {
  const left = new TimeLeft();
  assertEquals(left.of(1e6, 0.5), undefined);
  assertEquals(left.of(1e6 + 10_000, 0.6)!.toFixed(0), "40000");
});
