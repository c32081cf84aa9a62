/** Tally, Unigram, Breakdown and Confusion: what evaluations are counted with. */

import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import type { Batch } from "../config/batch.ts";
import { Random } from "../data/rng.ts";
import { bandOf, Breakdown, scriptOf } from "./breakdown.ts";
import { Confusion } from "./confusion.ts";
import { Tally, wilson } from "./tally.ts";
import { unigramBaseline } from "./token_evaluation.ts";
import { Unigram } from "./unigram.ts";

Deno.test("Tally means losses and counts ranks", () => {
  const tally = new Tally();
  tally.addAll([1, 2, 6], [0, 4, 5]);
  const { loss, perplexity, accuracy, top5_accuracy, count, accuracy_interval } = tally.result!;
  assertEquals([loss, accuracy, top5_accuracy, count], [3, 1 / 3, 2 / 3, 3]);
  assertAlmostEquals(perplexity, Math.exp(3), 1e-12);
  assert(accuracy_interval[0] < 1 / 3 && accuracy_interval[1] > 1 / 3);
  assertEquals(new Tally().result, undefined, "of nothing there is no figure");
});

Deno.test("Unigram's probabilities sum to one, and ranks follow the counts", () => {
  const unigram = new Unigram(Float64Array.of(0, 5, 2, 5, 1));
  assertAlmostEquals([0, 1, 2, 3, 4].reduce((sum, id) => sum + Math.exp(-unigram.loss(id)), 0), 1, 1e-12);
  assertEquals([1, 3, 2, 4, 0].map((id) => unigram.rank(id)), [0, 1, 2, 3, 4]);
  assertEquals(unigram.commonest, 1);
  const none = new Unigram(new Float64Array(3));
  assertEquals([none.entropy, none.commonest], [null, null]);
});

Deno.test("scriptOf and bandOf name what people look for", () => {
  const tokens = ["한국", "##어", "the", "##ly", "漢", "ひらがな", "мир", "1990", ".", "[UNK]", "αβγ", "ㅋㅋ"];
  assertEquals(tokens.map(scriptOf), [
    ...["Hangul", "Hangul", "Latin", "Latin", "Han", "Kana", "Cyrillic", "numbers", "signs", "special"],
    ...["other letters", "Hangul"],
  ]);
  assertEquals([0, 99, 100, 999, 1000, 9999, 10_000].map(bandOf), [
    ...["1–100", "1–100", "101–1,000", "101–1,000", "1,001–10,000", "1,001–10,000", "rarer than 10,000"],
  ]);
});

Deno.test("Breakdown's groups add up to the whole, for the model and for guessing", () => {
  const counts = Float64Array.of(0, 5, 2, 5, 1);
  const breakdown = new Breakdown(new Unigram(counts), (id) => id % 2 === 0 ? "even" : "odd");
  for (const [id, loss, rank] of [[1, 0.5, 0], [2, 2, 3], [3, 1, 1]]) breakdown.add(id, loss, rank);
  const [odd, even] = breakdown.groups;
  assertEquals([odd.name, odd.model.count, odd.model.accuracy, odd.unigram.accuracy], ["odd", 2, 0.5, 0.5]);
  assertEquals([even.name, even.model.loss, even.unigram.count], ["even", 2, 1]);
});

Deno.test("Confusion gives accuracy and macro-F1 worked out by hand", () => {
  const confusion = new Confusion(3);
  // Class 0: 3 right, 1 taken for 1. Class 1: 2 right. Class 2 does not occur.
  for (const [truth, answer] of [[0, 0], [0, 0], [0, 0], [0, 1], [1, 1], [1, 1]]) confusion.add(truth, answer);
  const { accuracy, macro_f1, majority, count } = confusion.result;
  assertAlmostEquals(accuracy, 5 / 6, 1e-12);
  assertAlmostEquals(macro_f1, (2 * 3 / (4 + 3) + 2 * 2 / (2 + 3)) / 2, 1e-12, "of classes that are there");
  assertEquals([majority, count], [4 / 6, 6]);
  assertThrows(() => new Confusion(2).result, Error, "no text");
});

Deno.test("Confusion's interval of macro-F1 is as wide as samples of that size scatter", () => {
  const cells = [[30, 10, 5], [4, 60, 6], [2, 8, 75]];
  const whole = new Confusion(3), flat: [number, number][] = [];
  cells.forEach((row, i) =>
    row.forEach((n, j) => {
      for (let k = 0; k < n; k++) flat.push([i, j]);
    })
  );
  flat.forEach(([truth, answer]) => whole.add(truth, answer));
  const { macro_f1, macro_f1_interval: [low, high] } = whole.result;
  const random = new Random(5, 0);
  const samples = Array.from({ length: 2000 }, (_, s) => {
    random.at(0, s);
    const sample = new Confusion(3);
    for (let i = 0; i < flat.length; i++) sample.add(...random.pick(flat));
    return sample.result.macro_f1;
  }).sort((a, b) => a - b);
  assertAlmostEquals(low, samples[50], 0.01);
  assertAlmostEquals(high, samples[1949], 0.01);
  assertAlmostEquals((low + high) / 2, macro_f1, 1e-12);
});

Deno.test("wilson gives the published interval", () => {
  // Newcombe (1998), table I: 81 of 263.
  const [low, high] = wilson(81, 263);
  assertAlmostEquals(low, 0.2553, 5e-5);
  assertAlmostEquals(high, 0.3662, 5e-5);
  const [zero, some] = wilson(0, 10);
  assert(zero === 0 && some > 0.2 && some < 0.3);
});

Deno.test("unigramBaseline equals entropy and cross-entropy worked out by hand", () => {
  const counts = Float64Array.of(0, 2, 1, 1);
  const batch = { labels: Int32Array.of(1, 3) } as Batch;
  const { entropy, loss, accuracy } = unigramBaseline(counts, [batch]);
  assertAlmostEquals(entropy!, 1.5 * Math.LN2, 1e-12);
  assertAlmostEquals(loss!, -(Math.log(3 / 8) + Math.log(2 / 8)) / 2, 1e-12);
  assertEquals(accuracy, 0.5);
  // Without a label there is nothing to guess, without a count nothing to guess from.
  assertEquals(unigramBaseline(new Float64Array(4), []), { entropy: null, loss: null, accuracy: null });
});
