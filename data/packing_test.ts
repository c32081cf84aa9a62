import { assert, assertEquals } from "@std/assert";
import { bucketed, packed } from "./packing.ts";
import { Random } from "./rng.ts";

/** Lengths as sentences have them: many short ones, some at the limit. */
function lengths(count: number, limit: number): number[] {
  const random = new Random(5, 1).at(0, 0);
  return Array.from(
    { length: count },
    () => Math.max(3, Math.min(limit, Math.floor(-limit / 3 * Math.log(1 - random.uniform())))),
  );
}

const random = () => new Random(1, 8).at(0, 0);

Deno.test("packed uses every sequence once, within the budget, and fills at least 98%", () => {
  for (const [limit, budget] of [[128, 2048], [512, 2048], [128, 16384], [512, 16384]]) {
    const all = lengths(20_000, limit);
    const batches = packed(all, budget, random());
    assertEquals(batches.flat().sort((a, b) => a - b), [...all.keys()]);
    const sums = batches.map((batch) => batch.reduce((sum, i) => sum + all[i], 0));
    assert(sums.every((sum) => sum <= budget));
    const fill = sums.reduce((a, b) => a + b, 0) / (batches.length * budget);
    assert(fill >= 0.98, `${limit} in ${budget}: ${fill}`);
  }
});

Deno.test("packed puts sequences that are as long as the budget alone, and orders batches by the random numbers", () => {
  assertEquals(packed([8, 8, 8], 8, random()).flat().sort(), [0, 1, 2]);
  assertEquals(packed([], 8, random()), []);
  const all = lengths(2000, 128);
  assertEquals(packed(all, 2048, random()), packed(all, 2048, random()));
  const other = packed(all, 2048, new Random(2, 8).at(0, 0));
  assert(JSON.stringify(other) !== JSON.stringify(packed(all, 2048, random())));
});

Deno.test("bucketed batches hold like lengths: padding them to the longest stays within the budget and costs little", () => {
  const all = lengths(20_000, 128);
  const batches = bucketed(all, 2048, random());
  assertEquals(batches.flat().sort((a, b) => a - b), [...all.keys()]);
  let padded = 0;
  for (const batch of batches) {
    const rectangle = batch.length * Math.max(...batch.map((i) => all[i]));
    assert(rectangle <= 2048);
    padded += rectangle;
  }
  const waste = padded / all.reduce((a, b) => a + b, 0) - 1;
  assert(waste < 0.02, `${waste} of padding`);
});
