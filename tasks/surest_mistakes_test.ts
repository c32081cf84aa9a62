import { assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import type { Batch } from "../config/batch.ts";
import { finetuningMeasures, LastAnswers } from "./finetuning_task.ts";
import { SEQUENCE_CLASSIFICATION } from "./sequence_classification.ts";
import { surestMistakes } from "./surest_mistakes.ts";

/** Answers class 1 with logits 0 and x, where x is the first id of a sequence less 100. */
const ENGINE = {
  sequenceLogits: ({ input_ids, cu_seqlens }: { input_ids: Int32Array; cu_seqlens: Int32Array }) =>
    Promise.resolve(Float32Array.from([...cu_seqlens.slice(0, -1)].flatMap((at) => [0, input_ids[at] - 100]))),
  evaluate: () => Promise.reject(new Error("not asked")),
  logits: () => Promise.reject(new Error("not asked")),
};

const sequence = (x: number, label: number) => ({ ids: Int32Array.of(100 + x), label });
const { signal } = new AbortController();

Deno.test("surestMistakes tells wrong answers alone, the surest first, with text, class, answer and probability", async () => {
  const sequences = [sequence(2, 0), sequence(9, 1), sequence(5, 0), sequence(-3, 1), sequence(-1, 0)];
  const texts = ["a", "b", "c".repeat(400), "d", "e"].map((text) => ({ text }));
  const lines = await surestMistakes(ENGINE, texts, sequences, ["bad", "good"], signal);
  assertEquals(lines.map(({ text, is, answered }) => [text[0], is, answered]), [
    ["c", "bad", "good"],
    ["d", "good", "bad"],
    ["a", "bad", "good"],
  ]);
  assertAlmostEquals(lines[0].probability!, 1 / (1 + Math.exp(-5)), 1e-6);
  assertEquals(lines[0].text.length, 301);
});

Deno.test("LastAnswers gives surestMistakes what was measured last, and asks where nothing was", async () => {
  const sequences = Array.from({ length: 70 }, (_, i) => sequence(i % 30, i % 2)), labels = ["bad", "good"];
  const texts = sequences.map((_, i) => ({ text: String(i) })), files = { train: sequences, valid: sequences };
  let asked = 0;
  const counting = { ...ENGINE, sequenceLogits: (batch: Batch) => (asked++, ENGINE.sequenceLogits(batch)) };
  const answers = new LastAnswers();
  const [valid, train] = finetuningMeasures(SEQUENCE_CLASSIFICATION, files, labels, answers);
  await valid.take(ENGINE, signal);
  await valid.take(counting, signal);
  await train.take(counting, signal);
  assertEquals(asked, 6, "70 sequences in batches of 32, twice");
  const expected = await surestMistakes(ENGINE, texts, sequences, labels, signal);
  assertEquals(await surestMistakes(answers.orOf(counting), texts, sequences, labels, signal), expected);
  assertEquals(asked, 6, "nothing was asked again");
  assertEquals(await surestMistakes(new LastAnswers().orOf(counting), texts, sequences, labels, signal), expected);
  assertEquals(asked, 9);
});

Deno.test("surestMistakes tells ten at most, of batches of any number, and ends at a signal", async () => {
  const sequences = Array.from({ length: 70 }, (_, i) => sequence(i % 30, 0));
  const texts = sequences.map((_, i) => ({ text: String(i), pair: "p" }));
  const lines = await surestMistakes(ENGINE, texts, sequences, ["bad", "good"], signal);
  assertEquals(lines.length, 10);
  assertEquals([lines[0].text, lines[0].pair], ["29", "p"]);
  await assertRejects(
    () => surestMistakes(ENGINE, texts, sequences, ["a", "b"], AbortSignal.abort(new Error("stop"))),
    Error,
    "stop",
  );
});
