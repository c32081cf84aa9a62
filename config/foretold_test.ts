import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { foretoldLoss } from "./foretold.ts";
import { PRESETS } from "./model_config.ts";

const few = { passes: 1, guessing: 7 };

Deno.test("foretoldLoss falls with the updates, and stays between nothing and guessing", () => {
  for (const preset of ["tiny", "mini"] as const) {
    let before = [7, 7], updates = 300;
    for (;; updates *= 1.1) {
      const now = foretoldLoss(preset, { ...few, updates });
      if (now === undefined) break;
      assert(0 < now[0] && now[0] < now[1], `${now}`);
      assert(now[0] < before[0] && now[1] < before[1], `${preset}, ${updates}: ${before} before, ${now} now`);
      before = now;
    }
    assert(updates > 1000, `${preset} ends at ${updates}`);
  }
});

Deno.test("foretoldLoss is a share of guessing's, and half way between two points at their geometric mean", () => {
  const at = (updates: number, guessing = 7) => foretoldLoss("tiny", { passes: 1, guessing, updates })![0];
  assertAlmostEquals(at(500, 3.5), at(500) / 2, 1e-12);
  assertAlmostEquals(at(Math.sqrt(300 * 1000)), (at(300) + at(1000)) / 2, 1e-9);
});

Deno.test("foretoldLoss tells nothing of what was not measured", () => {
  assertEquals(foretoldLoss("tiny", { ...few, updates: 10 }), undefined);
  assertEquals(foretoldLoss("tiny", { ...few, updates: 1e9 }), undefined);
  assertEquals(foretoldLoss("tiny", { updates: 500, passes: 6, guessing: 7 }), undefined);
  assert(Object.keys(PRESETS).some((preset) => foretoldLoss(preset as "base", { ...few, updates: 500 }) === undefined));
});
