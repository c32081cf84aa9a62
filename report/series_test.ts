import { assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { exampleRun } from "./example_run.ts";
import { runSeries, thinned, whole, whyNoReference } from "./series.ts";

Deno.test("thinned averages neighbours, keeps the last place and leaves few points alone", () => {
  const lines = Array.from({ length: 10 }, (_, i) => ({ step: i + 1, loss: i }));
  assertEquals(thinned(lines, 10), lines);
  assertEquals(thinned(lines, 4), [
    { step: 3, loss: 1 },
    { step: 6, loss: 4 },
    { step: 9, loss: 7 },
    { step: 10, loss: 9 },
  ]);
});

Deno.test("runSeries gives columns of one length, with tokens of an evaluation from the lines around it", () => {
  const { train, evaluation, guessing } = runSeries(exampleRun());
  assertEquals(new Set(Object.values(train).map((column) => column.length)), new Set([100]));
  assertEquals(new Set(Object.values(evaluation).map((column) => column.length)), new Set([10]));
  assertEquals(evaluation.tokens[0], 100_000);
  assertEquals(evaluation.nsp_accuracy[0], null);
  assertEquals(guessing?.loss, 7);
});

Deno.test("runSeries gives the reference band to runs on natural text that have come far enough", () => {
  const { reference } = runSeries(exampleRun());
  assertEquals([reference!.step[0], reference!.step.at(-1)], [736, 1000]);
  assertAlmostEquals(reference!.high[0], 7 * 0.951, 1e-9);
  assertEquals(reference!.tokens[0], 736_000);
  assertStringIncludes(whyNoReference(exampleRun({ files: "practice" }))!, "generated");
  const heldOut = [{ loss: 6, accuracy: 0.1 }];
  assertStringIncludes(whyNoReference(exampleRun({ heldOut }))!, "fewer than 736 updates");
});

Deno.test("whole puts a mean over a few updates to the line before it, by weight, and leaves even lines alone", () => {
  const even = [10, 20, 30].map((step) => ({ step, loss: 1 }));
  assertEquals(whole(even), even);
  assertEquals(whole([...even, { step: 32, loss: 7 }]), [...even.slice(0, 2), { step: 32, loss: 2 }]);
  assertEquals(whole([]), []);
});
