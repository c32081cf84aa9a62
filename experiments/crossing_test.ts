import { assertEquals } from "@std/assert";
import { crossingOf } from "./crossing.ts";

const pair = { better: "a", than: "b", in: "loss" } as const;
const losses = (means: number[]) =>
  means.map((mean) => [0, 0, 0].map((_, seed) => ({ mean: mean + seed / 1e4, error: 0.01 })));
const measured = (a: number[], b: number[]) => ({
  accuracies: {},
  untrained: {},
  examples: 1000,
  losses: { a: losses(a), b: losses(b) },
});
const STEPS = [1, 2, 3, 4];

Deno.test("crossingOf is between the last checkpoint behind and the first ahead, and sure where intervals say so", () => {
  const found = crossingOf(pair, measured([6, 5, 3.99, 2], [5, 4, 4, 3]), STEPS);
  assertEquals(found, { behind: 2, ahead: 3, surely: 4 });
});

Deno.test("crossingOf takes the last of several crossings, and no lead for one that is 0", () => {
  assertEquals(crossingOf(pair, measured([4, 4, 3, 2], [5, 3, 3, 3]), STEPS), { behind: 3, ahead: 4, surely: 4 });
});

Deno.test("crossingOf of a condition that is always ahead, or never", () => {
  assertEquals(crossingOf(pair, measured([1, 1, 1, 1], [2, 2, 2, 2]), STEPS), { ahead: 1, surely: 1 });
  assertEquals(crossingOf(pair, measured([2, 2, 2, 2], [1, 1, 1, 1]), STEPS), { behind: 4 });
});
