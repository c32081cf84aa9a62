/** `cloze finetune` on texts with several labels and with values, and what predict, evaluate, report and mod.ts make of it. */

import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { Classifier, Regressor } from "../../mod.ts";
import { testWithCore, trainedPlace } from "../support.ts";

const animals = ["cat", "dog", "horse"], verbs = ["sees", "hears", "likes", "follows"];
const sentence = (k: number) => `The ${animals[k % 3]} ${verbs[k % 4]} the bird at night.`;
/** The animal is a label, and so is what it does, if it sees or hears. */
const labelsOf = (k: number) =>
  [animals[k % 3], ...(k % 4 < 2 ? ["perceives"] : [])].filter((label) => label !== "horse");
const numbers = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i);
const flags = ["--learning-rate", "3e-3", "--epochs", "12", "--batch-size", "8"];

testWithCore(
  "finetune makes a model of any number of labels, which predict, evaluate, report and Classifier use",
  async () => {
    using place = await trainedPlace(60);
    const record = (k: number) => JSON.stringify({ text: sentence(k), label: labelsOf(k) }) + "\n";
    place.file("train.jsonl", numbers(0, 240).map(record).join(""));
    place.file(
      "valid.tsv",
      "text\tlabel\n" + numbers(1000, 60).map((k) => `${sentence(k)}\t${labelsOf(k).join(", ")}\n`).join(""),
    );
    const data = ["--model", "model", "--train", "train.jsonl", "--valid", "valid.tsv"];
    const unsaid = await place.cloze(["finetune", ...data, "--output", "out"]);
    assertEquals(unsaid.code, 1, unsaid.stderr);
    assertStringIncludes(unsaid.stderr, "valid.tsv");
    const made = await place.cloze([
      ...["finetune", ...data, "--problem-type", "multi_label_classification", ...flags, "--output", "several"],
    ]);
    assertEquals(made.code, 0, made.stderr);
    for (const said of ["classes cat, dog, perceives", "micro-F1", "the commonest set of labels: 1", "verdict"]) {
      assertStringIncludes(made.stderr, said);
    }
    const config = JSON.parse(Deno.readTextFileSync(`${place.path}/several/config.json`));
    assertEquals([config.problem_type, config.id2label["2"]], ["multi_label_classification", "perceives"]);
    const report = Deno.readTextFileSync(`${place.path}/several/report.html`);
    for (const said of ["all labels right", "micro-F1", "<h2>Labels</h2>"]) assertStringIncludes(report, said);
    const measured = await place.cloze(["evaluate", "--model", "several", "--data", "valid.tsv", "--json"]);
    assertEquals(measured.code, 0, measured.stderr);
    const { micro_f1, accuracy, count } = JSON.parse(measured.stdout);
    assert(micro_f1 > 0.5 && accuracy > 0 && count === 60, measured.stdout);
    using model = await Classifier.open(`${place.path}/several`);
    const [{ labels }] = await model.classify([sentence(4)]);
    const line = await place.cloze(["predict", "--model", "several", "--json"], { input: sentence(4) });
    assertEquals([model.multiLabel, JSON.parse(line.stdout).labels], [true, labels]);
    const other = await place.cloze([
      "finetune",
      ...data.slice(2),
      "--model",
      "several",
      "--problem-type",
      "regression",
      "--output",
      "x",
    ]);
    assertStringIncludes(other.stderr, "is a model for multi_label_classification, but --problem-type is regression");
  },
);

testWithCore(
  "finetune takes several columns, or lists, for several values, and everything tells them apart",
  async () => {
    using place = await trainedPlace(60);
    const values = (k: number) => [(k % 3) - 0.5, (k % 4) / 2];
    const table = (from: number, count: number) =>
      "text,valence,arousal\n" + numbers(from, count).map((k) => `${sentence(k)},${values(k).join()}\n`).join("");
    const list = (k: number) => JSON.stringify({ text: sentence(k), label: values(k) }) + "\n";
    place.file("train.csv", table(0, 240));
    place.file("valid.csv", table(1000, 60));
    place.file("train.jsonl", numbers(0, 240).map(list).join(""));
    place.file("valid.jsonl", numbers(1000, 60).map(list).join(""));
    const tune = (kind: string, output: string, ...more: string[]) =>
      place.cloze([
        "finetune",
        "--model",
        "model",
        "--train",
        `train.${kind}`,
        "--valid",
        `valid.${kind}`,
        ...more,
        "--output",
        output,
      ]);
    const columns = ["--label-column", "valence,arousal"];
    const made = await tune("csv", "named", ...columns, ...flags);
    assertEquals(made.code, 0, made.stderr);
    for (
      const said of [
        "regression: labels stand in several columns",
        "valence from -0.5 to 1.5, arousal from 0 to 1.5",
        "mean of 2 values: Pearson",
      ]
    ) {
      assertStringIncludes(made.stderr, said);
    }
    const listed = await tune("jsonl", "listed", ...flags);
    assertEquals(listed.code, 0, listed.stderr);
    assertStringIncludes(listed.stderr, "lists of numbers, such as -0.5, 0");
    const bytes = ["named", "listed"].map((name) => Deno.readFileSync(`${place.path}/${name}/model.safetensors`));
    assertEquals(bytes[0], bytes[1], "the same values give the same model");
    const labels = (name: string) => JSON.parse(Deno.readTextFileSync(`${place.path}/${name}/config.json`)).id2label;
    assertEquals(labels("named"), { 0: "valence", 1: "arousal" });
    assertEquals(labels("listed"), { 0: "LABEL_0", 1: "LABEL_1" });
    const json = await place.cloze(["evaluate", "--model", "named", "valid.csv", "--json"]);
    const { by_value, mse, variance, pearson } = JSON.parse(json.stdout);
    assert(by_value.length === 2 && pearson > 0.9 && mse < variance / 4, json.stdout);
    assertAlmostEquals(mse, (by_value[0].mse + by_value[1].mse) / 2, 1e-12);
    const plain = await place.cloze(["evaluate", "--model", "named", "valid.csv"]);
    assertStringIncludes(plain.stdout, `\narousal: Pearson ${by_value[1].pearson.toFixed(3)} (95% interval`);
    const line = await place.cloze(["predict", "--model", "named"], { input: sentence(4) });
    assert(/^valence \S+ {2}arousal \S+\tThe dog sees/.test(line.stdout), line.stdout);
    const [, first, second] = /^valence (\S+) {2}arousal (\S+)\t/.exec(line.stdout)!;
    assert(Math.abs(Number(first) - 0.5) < 0.4 && Math.abs(Number(second)) < 0.4, line.stdout);
    const report = Deno.readTextFileSync(`${place.path}/named/report.html`);
    for (const said of ["<h2>Values</h2>", "the mean of 2 values, on 60 texts"]) assertStringIncludes(report, said);

    const refused = async (message: string, train: string, ...more: string[]) => {
      place.file("bad.jsonl", train);
      const { code, stderr } = await place.cloze(
        ["finetune", "--model", "model", "--train", "bad.jsonl", "--valid", "valid.jsonl", ...more, "--output", "x"],
      );
      assertEquals(code, 1, stderr);
      assertStringIncludes(stderr, message);
    };
    const regression = ["--problem-type", "regression"], rest = list(1);
    await refused(
      "[1.5, NaN], but has to be 2 numbers",
      '{"text": "a", "label": [1.5, "NaN"]}\n' + rest,
      ...regression,
    );
    await refused("[1, 2, 3], but has to be 2 numbers", rest + '{"text": "a", "label": [1, 2, 3]}\n', ...regression);
    await refused(
      "[1.5, 1e+39], but has to be 2 numbers",
      rest + '{"text": "a", "label": [1.5, 1e39]}\n',
      ...regression,
    );
    await refused("line 1: the label is [1.5,null]", '{"text": "a", "label": [1.5, null]}\n' + rest, ...regression);
    await refused("line 1 is not JSON", '{"text": "a", "label": [1.5, NaN]}\n' + rest, ...regression);
    await refused("[-0.5], but has to be 2 numbers", rest + '{"text": "a", "label": [-0.5]}\n');
    place.file("nan.csv", "text,valence,arousal\na,1,2\nb,nan,2\n");
    const data = ["--train", "nan.csv", "--valid", "valid.csv", ...columns];
    const nan = await place.cloze(["finetune", "--model", "model", ...data, "--output", "x"]);
    assertStringIncludes(
      nan.stderr,
      "nan.csv: the label of a text is [nan, 2], but has to be 2 numbers, valence, arousal",
    );
    const twice = await tune("csv", "x", "--label-column", "valence,valence");
    assertEquals(twice.code, 2);
    assertStringIncludes(twice.stderr, "--label-column names the column valence twice");
    const folder = await place.cloze(["evaluate", "--model", "named", "named"]);
    assertEquals(folder.code, 1);
    assertStringIncludes(folder.stderr, "--data is the folder named, but has to be one file of labeled text");
    const several = await tune("csv", "x", ...columns, "--problem-type", "multi_label_classification");
    assertStringIncludes(several.stderr, "--label-column names several columns, and those are for values");
  },
);

testWithCore(
  "finetune takes numbers with fractions for values, says so, and predict, evaluate, report and Regressor go on",
  async () => {
    using place = await trainedPlace(60);
    const value = (k: number) => (k % 3) - (k % 4) / 2 + 0.25;
    const rows = (from: number, count: number) =>
      "text,score\n" + numbers(from, count).map((k) => `${sentence(k)},${value(k)}\n`).join("");
    place.file("train.csv", rows(0, 240));
    place.file("valid.csv", rows(1000, 60));
    const data = ["--model", "model", "--train", "train.csv", "--valid", "valid.csv", "--label-column", "score"];
    const made = await place.cloze(["finetune", ...data, ...flags, "--output", "values"]);
    assertEquals(made.code, 0, made.stderr);
    for (
      const said of [
        "train.csv are numbers, such as 0.25; --problem-type says otherwise",
        "values from -1.25 to 2.25",
        "Pearson",
        "verdict",
      ]
    ) {
      assertStringIncludes(made.stderr, said);
    }
    const config = JSON.parse(Deno.readTextFileSync(`${place.path}/values/config.json`));
    assertEquals([config.problem_type, config.id2label], ["regression", { "0": "score" }]);
    const report = Deno.readTextFileSync(`${place.path}/values/report.html`);
    for (const said of ["It learned: Pearson", "Spearman", "Largest errors"]) assertStringIncludes(report, said);
    const measured = await place.cloze([
      "evaluate",
      "--model",
      "values",
      "--data",
      "valid.csv",
      "--label-column",
      "score",
      "--json",
    ]);
    assertEquals(measured.code, 0, measured.stderr);
    const { pearson, mse, variance } = JSON.parse(measured.stdout);
    assert(pearson > 0.9 && mse < variance / 4, measured.stdout);
    const again = await place.cloze(["report", "values", "--output", "again.html"]);
    assertEquals(again.code, 0, again.stderr);
    using model = await Regressor.open(`${place.path}/values`);
    const [{ values: [{ label, value: found }] }] = await model.measure([sentence(4)]);
    assert(label === "score" && Math.abs(found - value(4)) < 0.6, `${label} ${found}`);
    place.file("bad.csv", "text,score\nThe cat sees.,much\nThe dog sees.,1.5\n");
    const bad = [
      "finetune",
      "--model",
      "model",
      "--train",
      "train.csv",
      "--valid",
      "bad.csv",
      "--label-column",
      "score",
    ];
    const refused = await place.cloze([...bad, "--output", "none"]);
    assertEquals(refused.code, 1);
    assertStringIncludes(refused.stderr, 'bad.csv: the label of a text is "much", but has to be a number');
  },
);
