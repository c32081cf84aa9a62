import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { REFERENCE_RUNS, referenceBand } from "./reference_band.ts";

Deno.test("the reference runs are those of the experiment log", async () => {
  for (const [name, { curve, unigram_loss }] of Object.entries(REFERENCE_RUNS)) {
    const text = await Deno.readTextFile(new URL(`../docs/experiments/${name}.csv`, import.meta.url));
    const [head, ...rows] = text.trim().split("\n").map((row) => row.split(","));
    const column = (name: string) => rows.map((row) => Number(row[head.indexOf(name)]));
    assertEquals(curve.map(([step]) => step), column("step"));
    column("held_out_loss").forEach((loss, i) => assertAlmostEquals(curve[i][1], loss / unigram_loss, 1e-4));
  }
});

Deno.test("referenceBand lies between the two runs where both have been, scaled to the text", () => {
  const { step, low, high } = referenceBand(10);
  assertEquals([step[0], step[step.length - 1]], [736, 3508]);
  assert(low.every((value, i) => value < high[i]), "Korean is below English throughout");
  assertAlmostEquals(high[0], 9.51, 1e-9);
  assertAlmostEquals(low[low.length - 1], 5.687, 1e-9);
  // Halfway between the Korean figures at 463 and 901 lies 682; at 736 it is a little further.
  assertAlmostEquals(low[0], 10 * (0.911 + (0.7912 - 0.911) * (736 - 463) / (901 - 463)), 1e-9);
});
