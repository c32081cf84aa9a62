import { assertEquals } from "@std/assert";
import { decide, type Expectation, overall } from "./verdict.ts";

const expectation: Expectation = { text: "a beats b in the end", better: "a", than: "b", at: "last" };
const measured = (a: number[], b: number[], examples = 100_000) => ({
  accuracies: { a: [[0, 0, 0], a], b: [[1, 1, 1], b] },
  untrained: {},
  examples,
});

Deno.test("decide follows the interval of the paired difference, not its mean", () => {
  const verdict = (a: number[], b: number[]) => decide(expectation, measured(a, b)).verdict;
  assertEquals(verdict([0.80, 0.81, 0.82], [0.70, 0.72, 0.71]), "supported");
  assertEquals(verdict([0.70, 0.72, 0.71], [0.80, 0.81, 0.82]), "not supported");
  assertEquals(verdict([0.80, 0.70, 0.82], [0.70, 0.79, 0.71]), "not decidable at this size");
});

Deno.test("decide looks at the checkpoint that the expectation names, and allows its margin", () => {
  const values = measured([0.8, 0.8, 0.8], [0.8, 0.801, 0.802]);
  assertEquals(decide({ ...expectation, at: "first" }, values).verdict, "not supported");
  assertEquals(decide(expectation, values).verdict, "not decidable at this size");
  assertEquals(decide({ ...expectation, margin: 0.01 }, values).verdict, "supported");
});

Deno.test("decide decides nothing from few examples, however well the seeds agree", () => {
  assertEquals(
    decide(expectation, measured([0.8, 0.8, 0.8], [0.7, 0.7, 0.7], 50)).verdict,
    "not decidable at this size",
  );
});

Deno.test("decide decides nothing from one seed", () => {
  assertEquals(
    decide(expectation, { accuracies: { a: [[0.9]], b: [[0.1]] }, untrained: {}, examples: 1000 }).verdict,
    "not decidable at this size",
  );
});

Deno.test("overall needs everything supported and is lost with one failure", () => {
  const finding = (verdict: "supported" | "not supported" | "not decidable at this size") => ({
    ...decide(expectation, measured([1, 1, 1], [0, 0, 0])),
    verdict,
  });
  assertEquals(overall([finding("supported"), finding("supported")]), "supported");
  assertEquals(overall([finding("supported"), finding("not decidable at this size")]), "not decidable at this size");
  assertEquals(overall([finding("not decidable at this size"), finding("not supported")]), "not supported");
});
