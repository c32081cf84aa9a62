import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { FINETUNE_DEFAULTS } from "../config/run_config.ts";
import { Confusion } from "../tasks/confusion.ts";
import { multiLabelResult } from "../tasks/multi_label_classification.ts";
import type { Metric } from "../config/metric.ts";
import { opened, testInChromium } from "./chromium.ts";
import { document } from "./document.ts";
import { classifiersPage } from "./classifier_page.ts";
import type { FinetuneRun } from "../config/finetune_run.ts";
import { type ClassifierRecord, classifierRecord } from "./classifier_record.ts";
import { classifierStage } from "./classifier_stage.ts";
import { classifierVerdict, classResults, guessingLoss } from "./classifier_verdict.ts";
import { reportText } from "./report_text.ts";

const NOW = new Date("2026-02-03T04:05:06Z");
const HOSTILE = `</script><script>throw "x"</script>"'&<img src=x onerror=alert(1)>`;

interface ExampleOptions {
  name?: string;
  labels?: string[];
  /** Of 20 texts of each class, how many are told right; the others are taken for the next class. */
  right?: number[];
  valid?: string;
  interrupted?: boolean;
}

function example(options: ExampleOptions = {}): ClassifierRecord {
  const { name = "reviews", labels = ["bad", "good"], right = [8, 14, 16], interrupted = false } = options;
  const file = { path: "/data/a.tsv", sha256: "a".repeat(64), texts: 320, cut_off: 3 };
  const run: FinetuneRun = {
    cloze_version: "0.1.0",
    created: "2026-01-02T03:04:05.000Z",
    command: `deno run finetune --model '${labels[0]}'`,
    folder: "/somewhere",
    versions: { cloze: "0.1.0", deno: "2.9.6", platform: "linux x86_64" },
    engine: { dtype: "bf16", instruction_set: "amx_bf16", threads: 2, parameter_count: 1_234_567 },
    model: "/runs/pretrained",
    from_scratch: false,
    labels,
    train: file,
    valid: { ...file, sha256: options.valid ?? "b".repeat(64) },
    finetuning: { ...FINETUNE_DEFAULTS, seed: 0, learning_rate: 1e-3, probe: false },
  };
  const classification = (split: "train" | "valid", step: number, right: number): Metric => {
    const confusion = new Confusion(labels.length);
    labels.forEach((_, i) => {
      for (let n = 0; n < 20; n++) confusion.add(i, n < right ? i : (i + 1) % labels.length);
    });
    return { kind: "classification", split, step, elapsed_ms: 100 * step, loss: 0.7, ...confusion.result };
  };
  const metrics = right.flatMap((right, i): Metric[] => [
    {
      kind: "train",
      step: 10 * (i + 1),
      epoch: i + 1,
      loss: 0.7 - 0.1 * i,
      accuracy: 0.5,
      learning_rate: 1e-3,
      grad_norm: 1,
      tokens: 1000 * (i + 1),
      tokens_per_second: 5000,
      elapsed_ms: 1000 * (i + 1),
      data_wait_ms: 0,
    },
    classification("valid", 10 * (i + 1), right),
  ]);
  const step = 10 * right.length;
  if (!interrupted && right.length > 0) metrics.push(classification("train", step, 19));
  if (!interrupted && right.length > 0) {
    const line = { text: HOSTILE, pair: "and this", is: labels[0], answered: labels[1], probability: 0.987 };
    metrics.push({ kind: "mistakes", step, elapsed_ms: 100 * step, lines: [line] });
  }
  metrics.push({ kind: "end", step, elapsed_ms: 1000, interrupted });
  return classifierRecord(`/runs/${name}`, run, metrics);
}

Deno.test("classResults and guessingLoss are what one works out by hand", () => {
  const { evaluations: [only], run } = example({ right: [15] });
  const classes = classResults({ ...only, confusion: [[6, 2], [3, 9]], count: 20 }, run.labels);
  const told = classes.map(({ there, said, precision, recall }) => [there, said, precision, recall]);
  assertEquals(told, [[8, 9, 6 / 9, 6 / 8], [12, 11, 9 / 11, 9 / 12]]);
  assertAlmostEquals(classes[0].f1!, 2 * 6 / (8 + 9));
  const [absent, all] = classResults({ ...only, confusion: [[0, 0], [0, 20]], count: 20 }, run.labels);
  assertEquals([absent.precision, absent.recall, absent.f1, all.f1], [null, null, null, 1], "of nothing, no figure");
  assertAlmostEquals(guessingLoss(only), Math.log(2));
});

Deno.test("classifierVerdict holds accuracy against the commonest class, and knows an unfinished run and overfitting", () => {
  const { headline, findings } = classifierVerdict(example());
  assertStringIncludes(headline, "It learned: 80.0% of 40 texts told right; always the commonest class gets 50.0%");
  assert(findings.some(({ text }) => text.includes("It overfits: 95.0%")), JSON.stringify(findings));
  const alike = classifierVerdict(example({ right: [19] })).findings;
  assert(alike.some(({ text }) => text.includes("No sign of overfitting: 95.0%")), JSON.stringify(alike));
  assertStringIncludes(classifierVerdict(example({ right: [11] })).headline, "Not better than guessing");
  const stopped = classifierVerdict(example({ interrupted: true })).findings;
  assert(stopped.some(({ text }) => text.includes("stopped before its end")));
  assertStringIncludes(classifierVerdict(example({ right: [] })).headline, "Nothing has been measured");
  const worse = classifierVerdict(example({ right: [19, 12] })).findings;
  assert(worse.some(({ text }) => text.includes("It was better before: 95.0% at update 10")));
});

Deno.test("classifierStage tells each stage, and another number of epochs where one promises more", () => {
  const told = (options: ExampleOptions) => {
    const judged = classifierStage(example(options));
    return judged && [judged.stage, judged.epochs];
  };
  const { epochs } = example().run.finetuning;
  assertEquals(told({ right: [11] }), ["not yet", 3 * epochs]);
  assertEquals(told({ right: [19] }), ["learning", 3 * epochs], "one epoch has no course");
  assertEquals(told({ right: [14, 18] }), ["learning", 2 * epochs]);
  assertEquals(told({ right: [18, 18] }), ["levelling off", undefined]);
  assertEquals(told({ right: [14, 16] }), ["overfitting", undefined], "95% on its training file");
  assertEquals(told({ right: [19, 19, 14] }), ["overfitting", 1], "it was better before");
  assertEquals(told({ right: [] }), undefined);
  assertEquals(told({ right: [19], interrupted: true }), undefined);
});

Deno.test("classifiersPage has verdict, curves, confusion matrix, classes and how to repeat it", () => {
  const page = document(classifiersPage([example()]), NOW);
  for (
    const part of ["It learned: 80.0%", "Macro-F1 80.0%", "Learning rate", "is … answered as"]
      .concat([
        "precision",
        "recall",
        "To repeat it",
        'deno run finetune <span class="flag">--model</span>',
        "3 (0.9%) cut off",
        "amx_bf16",
      ])
      .concat(["Surest mistakes", "98.7%", "&lt;img src=x", "and this"])
      .concat(["/runs/pretrained", "b".repeat(64), "guessing by frequency: 0.693", "Every evaluation"])
  ) {
    assertStringIncludes(page, part);
  }
  assertStringIncludes(reportText(example(), 80), "reviews: It learned: 80.0%");
});

Deno.test("classifiersPage of several says whether they can be compared, and which is best", () => {
  const other = example({ name: "other", right: [9, 10] });
  const page = document(classifiersPage([example(), other]), NOW);
  assertStringIncludes(page, "their accuracies can be compared");
  assertStringIncludes(page, "The highest accuracy is that of reviews, 80.0%; next is other, 50.0%");
  const even = document(classifiersPage([example(), example({ name: "other" })]), NOW);
  assertStringIncludes(even, "reviews and other have the same accuracy, 80.0%.");
  const files = document(classifiersPage([example(), example({ name: "other", valid: "c".repeat(64) })]), NOW);
  assertStringIncludes(files, "They were measured on different files.");
  const classes = document(classifiersPage([example(), example({ name: "other", labels: ["a", "b", "c"] })]), NOW);
  assertStringIncludes(classes, "They have different classes.");
});

Deno.test("classifiersPage lists the most frequent confusions where a matrix would be too large", () => {
  const labels = Array.from({ length: 40 }, (_, i) => `class ${i}`);
  const page = document(classifiersPage([example({ labels, right: [15] })]), NOW);
  assert(!page.includes("is … answered as"));
  assertStringIncludes(page, "answered as");
});

testInChromium("Chromium draws the charts of a classifier, and no label becomes markup", async () => {
  const hostile = example({ name: "hostile", labels: [HOSTILE, "good"] });
  const cases: [name: string, records: ClassifierRecord[], charts: number][] = [
    ["one", [example()], 5],
    ["two, one with hostile labels", [hostile, example()], 5],
    ["one that has only begun", [example({ right: [] })], 0],
  ];
  for (const [name, records, charts] of cases) {
    const page = document(classifiersPage(records), NOW);
    assertEquals(page.match(/<script/g)?.length, 3, "the data and two scripts");
    assert(!page.includes("<img"));
    const { dom, complaints } = await opened(page, 390);
    assertEquals(complaints, [], name);
    assertEquals(dom.match(/<canvas/g)?.length ?? 0, charts, name);
  }
});

Deno.test("classifiersPage calls figures what they are: of sets of labels, of words, of texts", () => {
  const texts = example(), { run } = texts;
  const truth = Array.from({ length: 40 }, (_, i) => [i % 2 === 0, i % 3 === 0]);
  const figures = { loss: 0.3, ...multiLabelResult(truth, truth.map(([a, b], i) => i < 8 ? [!a, b] : [a, b])) };
  const metrics = (["valid", "train"] as const).map((split): Metric => ({
    kind: "classification",
    split,
    step: 10,
    elapsed_ms: 10,
    ...figures,
  }));
  const sets = classifierRecord("/runs/sets", { ...run, problem_type: "multi_label_classification" }, metrics);
  const words = { ...texts, run: { ...run, unit: "word" as const } };
  const page = (...records: ClassifierRecord[]) => document(classifiersPage(records), NOW);
  const [ofSets, ofWords, ofTexts] = [page(sets), page(words), page(texts)];
  for (
    const said of [
      "<figcaption>All labels right</figcaption>",
      "Loss, nats a label",
      "All labels right in 80.0% (95%",
      "with the label",
    ]
  ) {
    assertStringIncludes(ofSets, said);
  }
  const read = ofSets.replaceAll(/<(script|style)[^]*?<\/\1>|<[^>]*>/g, "");
  assertEquals(/.*accuracy.*/i.exec(read)?.[0], undefined, "nothing on the page is an accuracy");
  for (const said of ["Accuracy, words", "Loss, nats a word", "320 sentences"]) assertStringIncludes(ofWords, said);
  for (const said of ["<figcaption>Accuracy</figcaption>", "Loss, nats a text", "320 texts"]) {
    assertStringIncludes(ofTexts, said);
  }
  assertStringIncludes(page(sets, sets), "have the same share of texts with all labels right, 80.0%.");
  assertStringIncludes(page(sets, words), "Told right");
});
