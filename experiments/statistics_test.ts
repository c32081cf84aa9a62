import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { accuracyDifference, estimate, lossDifference } from "./statistics.ts";

Deno.test("estimate gives the interval of a worked example", () => {
  // Mean 5, standard deviation 2, n = 4: half width 3.182 · 2 / 2.
  const { mean, interval } = estimate([3, 3, 7, 7].map((x) => 5 + (x - 5) * Math.sqrt(3) / 2));
  assertAlmostEquals(mean, 5);
  assertAlmostEquals(interval[0], 5 - 3.182, 1e-9);
  assertAlmostEquals(interval[1], 5 + 3.182, 1e-9);
});

Deno.test("estimate knows nothing from one value", () => {
  assertEquals(estimate([0.5]).interval, [-Infinity, Infinity]);
});

Deno.test("estimate covers the true mean in about 95 of 100 cases", () => {
  let state = 7, covered = 0;
  const uniform = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  const normal = () => Math.sqrt(-2 * Math.log(uniform() + 1e-12)) * Math.cos(2 * Math.PI * uniform());
  for (let i = 0; i < 4000; i++) {
    const { interval: [low, high] } = estimate(Array.from({ length: 5 }, normal));
    if (low <= 0 && 0 <= high) covered++;
  }
  assert(covered > 3740 && covered < 3860, `${covered} of 4,000`);
});

Deno.test("accuracyDifference takes what seeds share out of the interval, and keeps the sampling of examples in", () => {
  const many = accuracyDifference([0.9, 0.5, 0.7], [0.8, 0.4, 0.6], 1e12);
  assertAlmostEquals(many.mean, 0.1);
  assert(many.interval[0] > 0.0999 && many.interval[1] < 0.1001);
  const { interval } = accuracyDifference([0.5, 0.5], [0.5, 0.5], 1000);
  assertAlmostEquals(interval[1], 1.96 * Math.sqrt(2 * 0.25 / 1000), 1e-9);
  assertEquals(accuracyDifference([0.9], [0.1], 1000).interval, [-Infinity, Infinity]);
});

Deno.test("lossDifference pairs seeds, and keeps the sampling of blanks in whatever the number of seeds", () => {
  const losses = (means: number[], error: number) => means.map((mean) => ({ mean, error }));
  const sure = lossDifference(losses([5, 6, 7], 0), losses([4, 5, 6], 0));
  assertEquals([sure.mean, sure.interval[0], sure.interval[1]], [1, 1, 1]);
  const { interval } = lossDifference(losses([5, 5, 5], 0.03), losses([5, 5, 5], 0.04));
  assertAlmostEquals(interval[1], 1.96 * 0.05, 1e-9);
});
