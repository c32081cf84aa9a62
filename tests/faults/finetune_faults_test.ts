/** What people get wrong with finetune: each gets a sentence, a hint and an exit code, and leaves nothing half-written. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { testWithCore, trainedPlace } from "../support.ts";

const GOOD = "text\tlabel\nThe cat sees.\t0\nThe dog hears.\t1\nThe cat likes.\t0\n";

testWithCore("finetune says what is wrong with its data, its flags and its model", async () => {
  using place = await trainedPlace(3);
  place.file("good.tsv", GOOD);
  place.file("one.tsv", "text\tlabel\nThe cat sees.\t0\nThe dog.\t0\n");
  place.file("missing.tsv", "text\tlabel\nThe cat sees.\t0\nThe dog hears.\t\n");
  place.file("other.tsv", "text\tlabel\nThe cat sees.\t0\nThe dog.\t7\n");
  place.file("columns.csv", "review,stars\ngood,5\n");
  place.file("text.md", GOOD);
  place.file("many.tsv", "text\tlabel\n" + Array.from({ length: 200 }, (_, i) => `cat\tL${i}`).join("\n"));
  const run = async (train: string, valid: string, ...more: string[]) => {
    const base = ["finetune", "--model", "model", "--output", "out", "--train", train, "--valid", valid];
    return await place.cloze([...base, ...more]);
  };
  const refuse = async (code: number, message: string, train: string, valid: string, ...more: string[]) => {
    const outcome = await run(train, valid, ...more);
    assertEquals(outcome.code, code, outcome.stderr);
    assertStringIncludes(outcome.stderr, message);
    assert(!/^\s+at /m.test(outcome.stderr), outcome.stderr);
    assertEquals(outcome.stdout, "");
  };
  await refuse(1, 'one.tsv has one class only, "0"', "one.tsv", "good.tsv");
  await refuse(1, "missing.tsv: line 3: the label is missing", "missing.tsv", "good.tsv");
  await refuse(1, 'other.tsv has the class "7", but ', "good.tsv", "other.tsv");
  await refuse(1, 'good.tsv has only "0", "1"', "good.tsv", "other.tsv");
  await refuse(1, 'has no column "label"; it has: "review", "stars"', "columns.csv", "good.tsv");
  await refuse(1, 'has no column "body"', "good.tsv", "good.tsv", "--text-column", "body");
  await refuse(1, "text.md is no kind of file that labels are read from", "text.md", "good.tsv");
  await refuse(1, "many.tsv has 200 classes in 200 records", "many.tsv", "good.tsv");
  await refuse(1, "it does not exist", "none.tsv", "good.tsv");
  await refuse(1, "--valid is the folder model, but has to be one file of labeled text", "good.tsv", "model");
  await refuse(2, "--max-sequence-length is 65", "good.tsv", "good.tsv", "--max-sequence-length", "65");
  await refuse(2, "--epochs", "good.tsv", "good.tsv", "--epochs", "0");
  assert(await Deno.stat(`${place.path}/out`).then(() => false, () => true), "nothing was written");
  const missing = await place.cloze(["finetune", "--model", "model", "--train", "good.tsv"]);
  assertEquals(missing.code, 2);
  assertStringIncludes(missing.stderr, "needs --model DIR, --train FILE, --valid FILE and --output DIR");
  assertStringIncludes(missing.stderr, "hint: deno run help finetune tells what it takes");

  await Deno.mkdir(`${place.path}/full`);
  place.file("full/mine.txt", "mine");
  const full = await place.cloze([
    ...["finetune", "--model", "model", "--train", "good.tsv", "--valid", "good.tsv", "--output", "full"],
  ]);
  assertEquals(full.code, 1);
  assertStringIncludes(full.stderr, "already has files in it");
  assertEquals(Deno.readTextFileSync(`${place.path}/full/mine.txt`), "mine");
});

testWithCore("finetune trains a model of several values further only where a text has as many", async () => {
  using place = await trainedPlace(3);
  place.file("good.tsv", GOOD);
  const data = ["--train", "good.tsv", "--valid", "good.tsv"];
  const made = await place.cloze(["finetune", "--model", "model", ...data, "--epochs", "1", "--output", "classifier"]);
  assertEquals(made.code, 0, made.stderr);
  const config = JSON.parse(Deno.readTextFileSync(`${place.path}/classifier/config.json`));
  Deno.removeSync(`${place.path}/classifier/SHA256SUMS`); // of files that are changed here
  place.file("classifier/config.json", JSON.stringify({ ...config, problem_type: "regression" }));
  const { code, stderr } = await place.cloze(["finetune", "--model", "classifier", ...data, "--output", "out"]);
  assertEquals(code, 1, stderr);
  assertStringIncludes(stderr, 'the label of a text is "0", but has to be 2 numbers, 0, 1');
  place.file("two.jsonl", '{"text": "a cat", "label": [0, 1]}\n{"text": "a dog", "label": [1, 0.5]}\n');
  const two = ["--train", "two.jsonl", "--valid", "two.jsonl", "--epochs", "1"];
  const further = await place.cloze(["finetune", "--model", "classifier", ...two, "--output", "further"]);
  assertEquals(further.code, 0, further.stderr);
});

testWithCore("finetune that diverges names the tensor and saves no model", async () => {
  using place = await trainedPlace(3);
  place.file("good.tsv", GOOD);
  const { code, stderr } = await place.cloze([
    ...["finetune", "--model", "model", "--train", "good.tsv", "--valid", "good.tsv", "--output", "out"],
    ...["--learning-rate", "1e6", "--epochs", "200", "--batch-size", "1"],
  ]);
  assertEquals(code, 1, stderr);
  assertStringIncludes(stderr, "NaN or infinite");
  assertStringIncludes(stderr, "hint: ");
  assert(await Deno.stat(`${place.path}/out/model.safetensors`).then(() => false, () => true));
});
