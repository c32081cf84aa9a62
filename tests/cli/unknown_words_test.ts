/** Words that became `[UNK]`: told by every command that reads text, refused where a result would mean nothing. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type Place, SMALL_RUN, smallPlace, testWithCore, trainedPlace } from "../support.ts";

/** Flags of a run with the vocabulary of `tokenizer`, on other text. */
const FLAGS = [
  ...SMALL_RUN.filter((flag) => !["--data", "text.txt", "--vocab-size", "200"].includes(flag)),
  ...["--tokenizer", "tokenizer", "--steps", "4"],
];

/** A place with a tokenizer of `text.txt`, and Thai in `thai.txt`. */
async function tokenizerPlace(): Promise<Place> {
  const place = smallPlace();
  const learned = ["train-tokenizer", "--data", "text.txt", "--output", "tokenizer", "--vocab-size", "200"];
  const { code, stderr } = await place.cloze(learned);
  assertEquals(code, 0, stderr);
  place.file("thai.txt", "The cat sees แมว และ หมา.\n\n".repeat(200));
  return place;
}

testWithCore(
  "pretrain refuses text whose words become [UNK], before it leaves a run, unless it is allowed",
  async () => {
    using place = await tokenizerPlace();
    const run = ["pretrain", ...FLAGS, "--data", "thai.txt", "--output", "out"];
    const refused = await place.cloze(run);
    assertEquals(refused.code, 1, refused.stderr);
    assertMatch(refused.stderr, /error: 42\.9% of the words \(600 of 1,400\) became \[UNK\], for example .*แมว.*Thai/);
    assertStringIncludes(refused.stderr, "--allow-unknown");
    assertEquals([...Deno.readDirSync(`${place.path}/out`)].map(({ name }) => name).sort(), [".lock", "data"]);

    const allowed = await place.cloze([...run, "--allow-unknown"]);
    assertEquals(allowed.code, 0, allowed.stderr);
    assertStringIncludes(allowed.stderr, "[UNK]: 42.9% of the words (600 of 1,400), ");
    assertStringIncludes(allowed.stderr, "warning: 42.9% of the words");
    const lines = Deno.readTextFileSync(`${place.path}/out/metrics.jsonl`).trim().split("\n").map((line) =>
      JSON.parse(line)
    );
    const start = lines.find(({ kind }) => kind === "start");
    assertEquals(start.train.unknown_words + start.held_out.unknown_words, 600);
    assertEquals(start.train.words + start.held_out.words, 1400);
    assertEquals(start.unknown.lacking[0].script, "Thai");
    assertEquals(lines.filter(({ rule }) => rule === "unknown_words").length, 1);
    const page = Deno.readTextFileSync(`${place.path}/out/report.html`);
    assertMatch(page, /\[UNK\] among the words<\/th><td>42\.9% \(\d+ of [\d,]+\)/);
    assertStringIncludes(page, "Warning at update 0: 42.9% of the words");
  },
);

testWithCore("pretrain says where the words of --valid would have to stand", async () => {
  using place = smallPlace();
  place.file("greek.txt", "το σπίτι είναι μεγάλο\n");
  const run = ["pretrain", ...SMALL_RUN, "--steps", "2", "--valid", "greek.txt", "--output", "out"];
  const { code, stderr } = await place.cloze(run);
  assertEquals(code, 1, stderr);
  assertMatch(stderr, /100\.0% of the words of --valid \(4 of 4\) became \[UNK\].*Greek/);
  assertStringIncludes(stderr, "add text like this one to it");
});

testWithCore("pretrain says how many words became [UNK] where none or few did, without a warning", async () => {
  using place = smallPlace();
  const { code, stderr } = await place.cloze(["pretrain", ...SMALL_RUN, "--steps", "2", "--output", "out"]);
  assertEquals(code, 0, stderr);
  assertMatch(stderr, /no word of [\d,]+ became \[UNK\]/);
  assertEquals(stderr.match(/became \[UNK\]/g)?.length, 1, stderr);
});

testWithCore("evaluate, finetune and predict tell which words the model cannot read", async (t) => {
  using place = await trainedPlace(3);
  place.file("some.txt", `The cat sees แมว.\n${"The dog hears the cat.\n".repeat(10)}`);
  place.file("thai.txt", "The cat sees แมว และ หมา.\n".repeat(20));
  const labeled = (text: string) => `text\tlabel\n${`${text}\tyes\nThe dog hears the cat.\tno\n`.repeat(5)}`;
  place.file("thai.tsv", labeled("แมว และ หมา"));

  await t.step("evaluate warns, refuses, and has the counts in its JSON", async () => {
    const args = ["evaluate", "--model", "model", "--data"];
    const warned = await place.cloze([...args, "some.txt"]);
    assertEquals(warned.code, 0, warned.stderr);
    assertMatch(warned.stderr, /warning: .* of the words \(1 of 65\) became \[UNK\], for example แมว/, "few are said");
    assertStringIncludes(warned.stdout, "[UNK]: 1.5% of the words (1 of 65)");
    const refused = await place.cloze([...args, "thai.txt"]);
    assertEquals([refused.code, refused.stdout], [1, ""], refused.stderr);
    assertStringIncludes(refused.stderr, "extend-vocab --model model");
    const allowed = await place.cloze([...args, "thai.txt", "--allow-unknown", "--json"]);
    assertEquals(allowed.code, 0, allowed.stderr);
    const { words, tokens, unknown_words } = JSON.parse(allowed.stdout);
    assertEquals([words, tokens, unknown_words], [140, 140, 60]);
  });

  await t.step("evaluate says of capitals what helps", async () => {
    place.file("loud.txt", "THE CAT SEES THE DOG\n".repeat(20));
    const { code, stderr } = await place.cloze(["evaluate", "--model", "model", "--data", "loud.txt"]);
    assertEquals(code, 1, stderr);
    assertMatch(stderr, /100\.0% of them would be known in lower case\nhint: .*lowercase the text, or use a model/);
  });

  await t.step("finetune refuses before it leaves a model, and its page has the share", async () => {
    const files = (
      train: string,
      valid: string,
    ) => [
      "finetune",
      "--model",
      "model",
      "--train",
      train,
      "--valid",
      valid,
      "--output",
      "classifier",
      "--epochs",
      "1",
    ];
    const refused = await place.cloze(files("thai.tsv", "thai.tsv"));
    assertEquals(refused.code, 1, refused.stderr);
    assertMatch(refused.stderr, /error: \d+\.\d% of the words \(30 of 90\) became \[UNK\]/);
    const allowed = await place.cloze([...files("thai.tsv", "thai.tsv"), "--allow-unknown"]);
    assertEquals(allowed.code, 0, allowed.stderr);
    assertStringIncludes(allowed.stderr, "warning: ");
    const { train, valid } = JSON.parse(Deno.readTextFileSync(`${place.path}/classifier/finetune.json`));
    assertEquals([train.unknown_words, valid.unknown_words, valid.words], [15, 15, 45]);
    const page = Deno.readTextFileSync(`${place.path}/classifier/report.html`);
    assertStringIncludes(page, "33.3% of the words [UNK]");
    assertStringIncludes(page, "which the model cannot tell apart, for example");
  });

  await t.step("predict and evaluate --sentences note lines that are mostly [UNK]", async () => {
    const input = "The ____ sees the dog.\nแมว และ หมา ____ dog\n";
    const filled = await place.cloze(["predict", "--model", "model", "--json"], { input });
    assertEquals(filled.code, 0, filled.stderr);
    assertEquals(filled.stdout.trim().split("\n").map((line) => JSON.parse(line).unknown), [0, 3]);
    assertStringIncludes(filled.stderr, "note: line 2: 3 of 4 words became [UNK]");
    assert(!filled.stderr.includes("line 1"), filled.stderr);
    place.file("lines.txt", "แมว dog และ\nแมว และ\nThe dog\n");
    const scored = await place.cloze(["evaluate", "--model", "model", "--sentences", "lines.txt"]);
    assertEquals(scored.code, 1, "a line of unknown words only has no score");
    assertStringIncludes(scored.stderr, "lines.txt: line 1: 2 of 3 words became [UNK]");
    assertStringIncludes(scored.stderr, "lines.txt: line 2: no word in it is known to the vocabulary");
    assertEquals(scored.stdout.trim().split("\n").length, 2);
    const classified = await place.cloze(["predict", "--model", "classifier"], { input: "แมว และ\n" });
    assertStringIncludes(classified.stderr, "note: line 1: 2 of 2 words became [UNK]");
  });
});
