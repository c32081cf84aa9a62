/** `cloze finetune` on tagged words as people run it, and `predict` and `evaluate` on what comes out. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { TokenClassifier } from "../../mod.ts";
import { type Place, testWithCore, trainedPlace } from "../support.ts";

/** Animals are entities of a word, times of two; the punctuation is apart, as in CoNLL's files. */
function tagged(from: number, count: number): { tokens: string[]; tags: string[] }[] {
  const animals = ["cat", "dog", "horse"], verbs = ["sees", "hears", "likes", "follows"];
  return Array.from({ length: count }, (_, i) => {
    const k = from + i;
    return {
      tokens: ["The", animals[k % 3], verbs[k % 4], "the", "bird", "at", "night", "."],
      tags: ["O", "B-ANIMAL", "O", "O", "B-ANIMAL", "B-TIME", "I-TIME", "O"],
    };
  });
}

const conll = (from: number, count: number) =>
  "-DOCSTART- -X- O\n\n" +
  tagged(from, count).map(({ tokens, tags }) => tokens.map((word, i) => `${word} X ${tags[i]}\n`).join("") + "\n")
    .join("");

async function taggedPlace(): Promise<Place> {
  const place = await trainedPlace(60);
  place.file("train.conll", conll(0, 240));
  place.file("valid.jsonl", tagged(1000, 60).map((sentence) => JSON.stringify(sentence) + "\n").join(""));
  return place;
}

testWithCore("finetune makes a token classifier that predict and evaluate use", async (t) => {
  using place = await taggedPlace();
  const flags = ["finetune", "--model", "model", "--train", "train.conll", "--valid", "valid.jsonl"];
  const kinds = tagged(1000, 60).map(({ tokens, tags }) => JSON.stringify({ tokens, kind_of: tags }) + "\n").join("");
  place.file("valid.jsonl", kinds);
  flags.push("--label-column", "kind_of");
  const quick = ["--learning-rate", "1e-3", "--epochs", "8"];
  const { code, stderr } = await place.cloze([...flags, ...quick, "--output", "tagger"]);
  assertEquals(code, 0, stderr);
  for (const said of ["240 sentences", "entity F1", "the commonest class: 50.0%"]) assertStringIncludes(stderr, said);
  assertStringIncludes(stderr, "classes O, B-ANIMAL, B-TIME, I-TIME");

  await t.step("and leaves a Hugging Face folder, metrics and a report", () => {
    const config = JSON.parse(Deno.readTextFileSync(`${place.path}/tagger/config.json`));
    assertEquals(config.architectures, ["BertForTokenClassification"]);
    assertEquals(config.id2label, { "0": "O", "1": "B-ANIMAL", "2": "B-TIME", "3": "I-TIME" });
    assertEquals([config.problem_type, config.label2id["I-TIME"]], [undefined, 3]);
    const lines = Deno.readTextFileSync(`${place.path}/tagger/metrics.jsonl`).trim().split("\n");
    const last = lines.map((line) => JSON.parse(line)).findLast(({ split }) => split === "valid");
    assertEquals([last.count, last.majority, last.entities.count], [60 * 8, 0.5, 180]);
    assert(last.accuracy > 0.95 && last.entities.f1 > 0.95, JSON.stringify(last));
    assertStringIncludes(Deno.readTextFileSync(`${place.path}/tagger/report.html`), "entity F1");
  });

  await t.step("for lines, as text and as JSON", async () => {
    const input = "The horse sees the bird at night.\n\nThe dog\n";
    const plain = await place.cloze(["predict", "--model", "tagger"], { input });
    assertEquals(plain.code, 0, plain.stderr);
    const [first, second] = plain.stdout.split("\n\n").map((part) => part.split("\n").map((line) => line.split("\t")));
    assertEquals(first.slice(0, 2).map(([word, tag]) => [word, tag]), [["The", "O"], ["horse", "B-ANIMAL"]]);
    assertEquals([first.length, second.length], [8, 2]);
    const json = await place.cloze(["predict", "--model", "tagger", "--json"], { input });
    const [found] = json.stdout.trim().split("\n").map((line) => JSON.parse(line));
    assertEquals(found.words.map(({ word }: { word: string }) => word).join(" "), "The horse sees the bird at night .");
    const entities = found.entities.map((e: Record<string, unknown>) => [e.entity_group, e.word, e.start, e.end]);
    assertEquals(entities, [["ANIMAL", "horse", 4, 9], ["ANIMAL", "bird", 19, 23], ["TIME", "at night", 24, 32]]);
    const scores = found.words.slice(5, 7).map(({ score }: { score: number }) => score);
    assert(Math.abs(found.entities[2].score - (scores[0] + scores[1]) / 2) < 1e-12);
    assertEquals([found.divided, found.unknown, found.input], [false, 0, input.split("\n")[0]]);
    const refused = await place.cloze(["predict", "--model", "tagger", "--top-k", "2"], { input });
    assertEquals(refused.code, 2);
    assertStringIncludes(refused.stderr, "tags words");
  });

  await t.step("of any length", async () => {
    const input = "The horse sees the bird at night . ".repeat(20);
    const long = await place.cloze(["predict", "--model", "tagger", "--json"], { input });
    const { words, entities, divided } = JSON.parse(long.stdout);
    assertEquals([
      words.length,
      words.filter(({ entity }: { entity: string | null }) => entity === null).length,
      divided,
    ], [160, 0, true]);
    assert(entities.length > 50, `${entities.length}`);
  });

  await t.step("on other tagged text", async () => {
    place.file("other.bio", conll(500, 20));
    const data = ["--model", "tagger", "--data", "other.bio"];
    const measured = await place.cloze(["evaluate", ...data, "--json"]);
    assertEquals(measured.code, 0, measured.stderr);
    const { count, entities, accuracy } = JSON.parse(measured.stdout);
    assertEquals([count, entities.count], [160, 60]);
    assert(accuracy > 0.95 && entities.f1 > 0.95);
    const plain = await place.cloze(["evaluate", ...data]);
    assertStringIncludes(plain.stdout, "entity F1");
    // The column that its training named is taken where a file has it.
    place.file("usual.jsonl", tagged(500, 2).map((sentence) => JSON.stringify(sentence) + "\n").join(""));
    for (const [file, words] of [["valid.jsonl", 480], ["usual.jsonl", 16]] as const) {
      const again = await place.cloze(["evaluate", "--model", "tagger", "--data", file, "--json"]);
      assertEquals(again.code, 0, again.stderr);
      assertEquals(JSON.parse(again.stdout).count, words);
    }
    place.file("wrong.bio", "The X O\ncat X B-PET\n");
    const wrong = await place.cloze(["evaluate", "--model", "tagger", "--data", "wrong.bio"]);
    assertEquals(wrong.code, 1);
    assertStringIncludes(wrong.stderr, 'wrong.bio: the sentence of line 1: "cat" has the tag "B-PET"');
  });

  await t.step("and from a program, where words may be given", async () => {
    using model = await TokenClassifier.open(`${place.path}/tagger`);
    const [given, raw] = await model.tag([["The", "dog", "likes"], "The dog likes"]);
    assertEquals(given, raw);
    assertEquals(given.entities?.map(({ word }) => word), ["dog"]);
  });

  await t.step("and other commands say what it is", async () => {
    const fill = await place.cloze(["evaluate", "--model", "tagger", "--sentences"], { input: "The dog\n" });
    assertEquals(fill.code, 1);
    const texts = await place.cloze([
      "finetune",
      "--model",
      "tagger",
      "--train",
      "a.tsv",
      "--valid",
      "a.tsv",
      "--output",
      "x",
    ]);
    assertEquals(texts.code, 1);
    const next = ["pretrain", "--from", "tagger", "--data", "text.txt", "--steps", "1", "--max-sequence-length", "32"];
    const { code, stderr } = await place.cloze([...next, "--output", "next"]);
    assertEquals(code, 0, stderr);
    assertStringIncludes(stderr, "has none: its head on tokens");
  });
});

testWithCore("finetune on tagged words goes on bit for bit, further, and as a probe", async () => {
  using place = await taggedPlace();
  const flags = ["finetune", "--model", "model", "--train", "train.conll", "--valid", "valid.jsonl", "--threads", "1"];
  const hash = async (name: string) =>
    new Uint8Array(
      await crypto.subtle.digest("SHA-256", Deno.readFileSync(`${place.path}/${name}/model.safetensors`)),
    ).toHex();
  const whole = await place.cloze([...flags, "--epochs", "1", "--output", "whole"]);
  assertEquals(whole.code, 0, whole.stderr);
  const again = await place.cloze([...flags, "--epochs", "1", "--output", "again"]);
  assertEquals(again.code, 0, again.stderr);
  assertEquals(await hash("whole"), await hash("again"));
  const further = flags.map((word) => word === "model" ? "whole" : word);
  const next = await place.cloze([...further, "--epochs", "1", "--output", "further"]);
  assertEquals(next.code, 0, next.stderr);
  assertStringIncludes(next.stderr, "all of them from the model");
  const probe = await place.cloze([...flags, "--probe", "--epochs", "2", "--output", "probe"]);
  assertEquals(probe.code, 0, probe.stderr);
  assertStringIncludes(probe.stderr, "the encoder stays as it is");
});
