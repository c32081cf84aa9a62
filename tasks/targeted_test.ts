import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { MULTI_LABEL_CLASSIFICATION, multiLabelResult, surestWrongLabels } from "./multi_label_classification.ts";
import { largestErrors, REGRESSION, regressionResult } from "./regression.ts";
import type { Answering } from "./task.ts";

const set = (text: string) => [...text].map((c) => c === "1");

Deno.test("multiLabelResult gives the figures of scikit-learn 1.9", () => {
  const truth = ["101", "000", "011", "100", "110"].map(set), answers = ["100", "000", "011", "010", "111"].map(set);
  const found = multiLabelResult(truth, answers);
  assertAlmostEquals(found.micro_f1, 0.7142857142857143, 1e-12);
  assertAlmostEquals(found.macro_f1, 0.7, 1e-12);
  assertEquals([found.accuracy, found.majority, found.count], [0.4, 0.2, 5]);
  assertEquals(found.by_label[1], { there: 2, said: 3, right: 2 });
  const [low, high] = found.macro_f1_interval;
  assert(low > 0.2 && low < 0.7 && high > 0.7, `${low} ${high}`);
  assertEquals(multiLabelResult([[false]], [[false]]).micro_f1, 0, "of labels that never hold");
});

Deno.test("regressionResult gives the figures of scipy 1.17, ties among them", () => {
  const one = (values: number[]) => values.map((value) => [value]);
  const found = regressionResult(one([1, 2.5, 2.5, 4, 0, 3.3]), one([0.9, 2, 3.1, 3.9, 0.4, 0.4]));
  assertAlmostEquals(found.pearson!, 0.6292678608829565, 1e-12);
  assertAlmostEquals(found.spearmanr!, 0.5294117647058824, 1e-12);
  assertAlmostEquals(found.mse, 1.5333333333333334, 1e-12);
  assertAlmostEquals(found.pearson_interval![0], -0.3725515627337259, 1e-6);
  assertAlmostEquals(found.pearson_interval![1], 0.9537560209681997, 1e-6);
  assertEquals(found.by_value, undefined);
  const flat = regressionResult(one([1, 2]), one([3, 3]));
  assertEquals([flat.pearson, flat.pearson_interval, flat.spearmanr, flat.variance], [null, null, null, 0.25]);
});

Deno.test("regressionResult of several values has each one's figures, and their means", () => {
  const first = [[1, 0.9], [2.5, 2], [2.5, 3.1], [4, 3.9], [0, 0.4], [3.3, 0.4]];
  const truth = first.map(([truth], i) => [truth, i, 5]), answers = first.map(([_, answer], i) => [answer, -i, i]);
  const { by_value, ...found } = regressionResult(truth, answers);
  assertAlmostEquals(by_value![0].pearson!, 0.6292678608829565, 1e-12);
  assertAlmostEquals(by_value![1].pearson!, -1, 1e-12);
  assertEquals([by_value![2].pearson, by_value![2].variance], [null, 0]);
  assertAlmostEquals(found.pearson!, (0.6292678608829565 - 1) / 2, 1e-12);
  const mse = [9.2 / 6, 4 * 55 / 6, 55 / 6];
  assertAlmostEquals(found.mse, mse.reduce((a, b) => a + b) / 3, 1e-12);
  by_value!.forEach((value, k) => assertAlmostEquals(value.mse, mse[k], 1e-12));
  assertAlmostEquals(found.variance, by_value!.reduce((sum, { variance }) => sum + variance, 0) / 3, 1e-12);
  assertEquals(found.loss, found.mse);
});

/** Answers each text by its only token. */
function answering(rows: number[][]): Answering {
  return {
    sequenceLogits: ({ input_ids }) => Promise.resolve(Float32Array.from([...input_ids].flatMap((id) => rows[id]))),
    evaluate: () => Promise.reject(),
    logits: () => Promise.reject(),
  };
}

const sequences = (targets: number[][]) => targets.map((targets, id) => ({ ids: Int32Array.of(id), targets }));
const { signal } = new AbortController();

Deno.test("MULTI_LABEL_CLASSIFICATION measures the mean over texts and labels, and tells what is most surely wrong", async () => {
  const rows = [[2, -1], [-3, 4], [5, 5]], of = sequences([[1, 0], [1, 1], [0, 0]]), labels = ["a", "b"];
  const found = await MULTI_LABEL_CLASSIFICATION.evaluate(answering(rows), of, labels, signal);
  const losses = [-2, -1, 3, -4, 5, 5].map((x) => Math.log(1 + Math.exp(x)));
  assertAlmostEquals(found.loss, losses.reduce((a, b) => a + b) / 6, 1e-6);
  assertEquals(found.accuracy, 1 / 3);
  const texts = ["x", "y", "z"].map((text) => ({ text }));
  const wrong = await surestWrongLabels(answering(rows), texts, of, labels, signal);
  assertEquals(wrong.map(({ text, is, answered }) => [text, is, answered]), [["z", "none", "a, b"], [
    "y",
    "a, b",
    "b",
  ]]);
  assertAlmostEquals(wrong[1].probability!, 1 / (1 + Math.exp(-3)), 1e-6);
});

Deno.test("REGRESSION measures squared errors, and tells the largest", async () => {
  const rows = [[1], [2], [6]], of = sequences([[1], [2.5], [3]]), texts = ["x", "y", "z"].map((text) => ({ text }));
  assertAlmostEquals((await REGRESSION.evaluate(answering(rows), of, ["score"], signal)).mse, 9.25 / 3, 1e-9);
  assertEquals(await largestErrors(answering(rows), texts, of, ["score"], signal), [
    { text: "z", is: "3", answered: "6.000" },
    { text: "y", is: "2.5", answered: "2.000" },
  ]);
  const [two, both] = [[[1, 0], [2, 9]], sequences([[1, 3], [2.5, 9]])], values = ["a", "b"];
  assertAlmostEquals((await REGRESSION.evaluate(answering(two), both, values, signal)).mse, 9.25 / 4, 1e-9);
  assertEquals((await largestErrors(answering(two), texts, both, values, signal))[0], {
    text: "x",
    is: "1, 3",
    answered: "1.000, 0.000",
  });
});
