/** `cloze finetune` on pairs of texts as people run it, and `predict` on what comes out. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Classifier } from "../../mod.ts";
import { testWithCore, trainedPlace } from "../support.ts";

/** Whether both texts are about the same animal: no word of one text tells. */
function pairs(from: number, count: number): string {
  const animals = ["cat", "dog", "horse"];
  const rows = Array.from({ length: count }, (_, i) => {
    const [a, b] = [animals[(from + i) % 3], animals[Math.floor((from + i) / 3) % 3]];
    return `The ${a} sees.\tThe ${b} hears.\t${a === b ? "same" : "other"}`;
  });
  return ["question\tanswer\tlabel", ...rows, ""].join("\n");
}

testWithCore("finetune on pairs makes a classifier that predict gives pairs", async (t) => {
  using place = await trainedPlace(60);
  place.file("train.tsv", pairs(0, 360));
  place.file("valid.tsv", pairs(0, 45));
  const files = ["--train", "train.tsv", "--valid", "valid.tsv"];
  const flags = ["finetune", "--model", "model", ...files, "--pair-column", "answer", "--text-column", "question"];
  const { code, stderr } = await place.cloze([
    ...flags,
    "--learning-rate",
    "1e-3",
    "--epochs",
    "4",
    "--output",
    "same",
  ]);
  assertEquals(code, 0, stderr);
  assertStringIncludes(stderr, "360 pairs to train on");

  await t.step("with a tab between the two", async () => {
    const input = "The cat sees.\tThe cat hears.\nThe cat sees.\n";
    const json = await place.cloze(["predict", "--model", "same", "--json"], { input });
    assertEquals(json.code, 1);
    assertStringIncludes(json.stderr, "line 2: a pair is two texts with a tab between them");
    const found = JSON.parse(json.stdout);
    assertEquals([found.input, found.pair, found.labels.length], ["The cat sees.", "The cat hears.", 2]);
    const plain = await place.cloze(["predict", "--model", "same"], { input: input.split("\n")[0] });
    assertStringIncludes(plain.stdout, "\tThe cat sees.\tThe cat hears.\n");
    using model = await Classifier.open(`${place.path}/same`);
    const [both, first] = await model.classify([["The cat sees.", "The cat hears."], "The cat sees."]);
    assertEquals(both.labels, found.labels);
    assertEquals([both.pair, first.pair], ["The cat hears.", undefined]);
    const types = model.prepare("The cat", "hears").type_ids;
    assertEquals([...types!].toSorted(), [...types!], "the second text is of the second segment");
    assertEquals(types!.at(-1), 1);
  });

  await t.step("from two columns of records: those of finetune, or those that flags name", async () => {
    const texts = [["The cat sees.", "The cat hears."], ["The dog sees.", "The cat hears."]];
    const lines = await place.cloze(["predict", "--model", "same", "--json"], {
      input: texts.map((pair) => pair.join("\t") + "\n").join(""),
    });
    const objects = (first: string, second: string) =>
      texts.map(([a, b]) => JSON.stringify({ id: 1, [first]: a, [second]: b }) + "\n").join("");
    const rows = ["id,question,answer", ...texts.map(([a, b]) => `1,"${a}",${b}`), ""].join("\n");
    place.file("made.jsonl", objects("question", "answer"));
    place.file("made.csv", rows);
    place.file("other.jsonl", objects("text", "reply"));
    place.file("tabs.jsonl", texts.map((pair) => JSON.stringify({ text: pair.join("\t") }) + "\n").join(""));
    const named = ["other.jsonl", "--pair-column", "reply"];
    for (const args of [["made.jsonl"], ["made.csv"], named, ["tabs.jsonl"], ["tabs.jsonl", "--pairs"]]) {
      const { code, stdout, stderr } = await place.cloze(["predict", "--model", "same", "--json", ...args]);
      assertEquals([code, stdout], [0, lines.stdout], stderr);
    }
    place.file("two.csv", rows.replaceAll(/^(id|1),/gm, ""));
    const two = ["predict", "--model", "same", "--json", "two.csv", "--pair-column", "question"];
    const turned = await place.cloze(two);
    assertEquals(turned.stdout.trim().split("\n").map((line) => JSON.parse(line).pair), texts.map(([a]) => a));
  });

  await t.step("evaluate takes the columns of its training, or says which one is missing", async () => {
    const evaluate = async (...args: string[]) => await place.cloze(["evaluate", "--model", "same", "--json", ...args]);
    const named = await evaluate("valid.tsv", "--text-column", "question", "--pair-column", "answer");
    const plain = await evaluate("valid.tsv");
    assertEquals([plain.code, plain.stdout], [0, named.stdout], plain.stderr);
    assert(JSON.parse(plain.stdout).accuracy > 0.5, plain.stdout);
    const rows = pairs(0, 45).split("\n").slice(1, -1).map((row) => row.split("\t"));
    const records = rows.map(([text, other, label]) => JSON.stringify({ text, other, label }) + "\n");
    place.file("other.valid.jsonl", records.join(""));
    const lacks = await evaluate("other.valid.jsonl");
    assertEquals(lacks.code, 1);
    assertStringIncludes(lacks.stderr, 'has no field "answer"; it has: text, other, label');
    assertStringIncludes(lacks.stderr, "fine-tuned on pairs, with the second text in answer: --pair-column says where");
    const given = await evaluate("other.valid.jsonl", "--pair-column", "other");
    assertEquals(given.stdout, plain.stdout, given.stderr);
  });

  await t.step("and names what is wrong with columns and records", async () => {
    const predict = async (...args: string[]) => await place.cloze(["predict", ...args]);
    const missing = await predict("--model", "same", "made.csv", "--pair-column", "reply");
    assertEquals(missing.code, 1);
    assertStringIncludes(missing.stderr, 'made.csv has no column "reply"; it has: "id", "question", "answer"');
    place.file(
      "bad.jsonl",
      '{"question": "a", "answer": null}\n{"question": "a", "answer": 5}\n{"question": "The cat.", "answer": "A dog."}\n',
    );
    const bad = await predict("--model", "same", "bad.jsonl");
    assertEquals([bad.code, bad.stdout.split("\t").slice(1)], [1, ["The cat.", "A dog.\n"]]);
    assertStringIncludes(bad.stderr, "bad.jsonl: line 1: the second text of the pair is missing");
    assertStringIncludes(bad.stderr, 'bad.jsonl: line 2: it has a number in "answer", not a text');
    place.file(
      "lacks.jsonl",
      '{"question": "a", "answer": "b"}\n{"question": "a"}\n{"question": "The cat.", "answer": "A dog."}\n',
    );
    const lacks = await predict("--model", "same", "lacks.jsonl", "--json");
    assertEquals([lacks.code, lacks.stdout.trim().split("\n").length], [1, 2], "the others are answered");
    assertStringIncludes(lacks.stderr, 'lacks.jsonl: line 2: it has no field "answer"; it has: question');
    const none = await predict("--model", "same", "lacks.jsonl", "--pair-column", "reply");
    assertEquals([none.stdout, none.stderr.match(/error/g)?.length], ["", 1], "a wrong name is told once");
    place.file("lines.txt", "a\tb\n");
    for (
      const [args, message] of [
        [["--model", "same", "made.csv", "--pairs", "--pair-column", "answer"], "give either --pairs"],
        [
          ["--model", "model", "made.csv", "--pair-column", "answer"],
          "--pair-column is for models that classify texts",
        ],
        [["--model", "same", "lines.txt", "--pair-column", "answer"], "--pair-column is for tables and JSON records"],
        [["--model", "same", "--pair-column", "answer"], "--pair-column says how files are read, but lines of"],
      ] as const
    ) {
      const { code, stderr } = await predict(...args);
      assertEquals(code, 2, stderr);
      assertStringIncludes(stderr, message);
    }
  });

  await t.step("beside other models that take the same, and refused beside those that do not", async () => {
    Deno.mkdirSync(`${place.path}/unsaid`); // as from elsewhere: nothing says that it was made of pairs
    for (const { name } of Deno.readDirSync(`${place.path}/same`)) {
      if (name !== "finetune.json") Deno.copyFileSync(`${place.path}/same/${name}`, `${place.path}/unsaid/${name}`);
    }
    const predict = async (models: string[], ...flags: string[]) => {
      const input = "The cat sees.\tThe cat hears.\n";
      return await place.cloze(["predict", ...models.flatMap((name) => ["--model", name]), ...flags], { input });
    };
    const mixed = await predict(["same", "model"]);
    assertEquals([mixed.code, mixed.stdout], [2, ""]);
    assertStringIncludes(
      mixed.stderr,
      "the model same takes two texts with a tab between them, and model takes a text with a blank in it",
    );
    assertStringIncludes(mixed.stderr, "hint: call predict with each of them alone");
    const unsaid = await predict(["unsaid", "same"]);
    assertEquals(unsaid.code, 2);
    assertStringIncludes(unsaid.stderr, "unsaid takes a text, and same takes two texts");
    assertStringIncludes(unsaid.stderr, "hint: --pairs gives both pairs");
    for (const record of ["{", '{"flags": null}', '{"flags": {"pair-column": 7}}']) {
      place.file("unsaid/finetune.json", record);
      const { stderr, code } = await predict(["unsaid"]);
      assert(record === "{" ? stderr.includes("finetune.json cannot be read") : code === 0, stderr);
    }
    const both = await predict(["unsaid", "same"], "--pairs", "--json");
    const [a, b] = both.stdout.trim().split("\n").map((line) => JSON.parse(line));
    assertEquals([both.code, a.model, b.model, a.labels], [0, "unsaid", "same", b.labels], both.stderr);
    const records = await predict(["same", "same"], "made.csv", "--json");
    assertEquals([records.code, records.stdout.trim().split("\n").length], [0, 4], records.stderr);
  });

  await t.step("finetune says when it trains such a model further on single texts", async () => {
    const further = ["finetune", "--model", "same", ...files, "--text-column", "question", "--epochs", "0.1"];
    const single = await place.cloze([...further, "--output", "single"]);
    assertStringIncludes(
      single.stderr,
      "warning: the model was fine-tuned on pairs of texts, and here each record is read as one",
    );
    assertStringIncludes(single.stderr, "hint: for pairs: --pair-column answer");
    assertStringIncludes(single.stderr, "--epochs 0.3 --output single-0.3-epochs");
    const pairs = await place.cloze([...further, "--pair-column", "answer", "--output", "pairs"]);
    assertEquals([pairs.code, pairs.stderr.includes("was fine-tuned on pairs")], [0, false], pairs.stderr);
  });

  await t.step("and says what is no pair", async () => {
    place.file("lacks.jsonl", '{"question": "a", "answer": null, "label": "same"}\n');
    const lacks = flags.map((word) => word === "train.tsv" ? "lacks.jsonl" : word);
    const { stderr } = await place.cloze([...lacks, "--output", "x"]);
    assertStringIncludes(stderr, "lacks.jsonl: line 1: the second text, answer, is missing");
    const blanks = await place.cloze(["predict", "--model", "model", "--pairs"], { input: "a\tb\n" });
    assertEquals(blanks.code, 2);
    assertStringIncludes(blanks.stderr, "--pairs is for models that classify texts");
  });
});
