/** A measure over nothing is no figure: what is said, and left out, where no token is predicted. And `--valid`. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type Place, SMALL_RUN, smallPlace, smallText, testWithCore, trainedPlace } from "../support.ts";

/** Flags of a small model, without its text and its vocabulary. */
const SMALL_MODEL = SMALL_RUN.filter((arg) => !["--data", "text.txt", "--vocab-size", "200"].includes(arg));

const metricsOf = (place: Place, run: string) =>
  Deno.readTextFileSync(`${place.path}/${run}/metrics.jsonl`).trim().split("\n").map((line) => JSON.parse(line));

/** No figure of nothing, in whatever form. */
function assertNoFigure(text: string): void {
  for (const nothing of [/NaN/, /Infinity/, /\b0\.000\b/, /perplexity/, /accuracy \d/, /\b0\.0%/]) {
    assert(!nothing.test(text), `${nothing} in: ${text}`);
  }
}

testWithCore("pretrain says at its start that nothing is held out, and then shows no figure of it", async () => {
  using place = smallPlace();
  place.file("short.txt", "The cat sees the dog.\n\nEvery bird hears a horse at night.\n\nThe dog follows the cat.\n");
  const args = ["pretrain", ...SMALL_MODEL, "--data", "short.txt", "--output", "out", "--steps", "3"];
  const { code, stderr } = await place.cloze(args);
  assertEquals(code, 0, stderr);
  assertMatch(stderr, /warning: the text is too short for a held-out part[^]*\ntrained/, "before it trains");
  assertStringIncludes(stderr, "hint: give text to measure on: --valid FILE");
  assertMatch(stderr, /measured nothing/);
  assertNoFigure(stderr.slice(stderr.indexOf("trained")));
  assert(!/held-out loss \d|guessing: /.test(stderr), stderr);

  place.file("pairs.txt", "The cat sees.\nThe dog hears.\n\nA bird sees.\nThe horse follows.\n");
  const pairs = ["--data", "pairs.txt", "--objective", "mlm+nsp", "--output", "pairs", "--steps", "3"];
  const paired = await place.cloze(["pretrain", ...SMALL_MODEL, ...pairs]);
  assertEquals(paired.code, 0, paired.stderr);
  assertStringIncludes(paired.stderr, "warning: the text is too short for a held-out part");

  const metrics = metricsOf(place, "out");
  assertEquals(metrics.filter(({ kind }) => kind === "evaluation"), []);
  const [start] = metrics;
  assertEquals([start.unigram.loss, start.unigram.accuracy, start.masking.mask_share], [null, null, null]);
  assertEquals([start.held_out.fertility, start.held_out.unknown_share], [null, null]);
  const report = await place.cloze(["report", "out", "--text"]);
  assertStringIncludes(report.stdout, "Nothing is measured: no token of the held-out text is predicted");
  assertNoFigure(report.stdout);
  const page = Deno.readTextFileSync(`${place.path}/out/report.html`);
  const body = page.slice(page.indexOf("<main>"), page.indexOf("</main>"));
  assert(!/NaN|perplexity|\b0\.000\b/.test(body), body);
});

testWithCore("pretrain is an error where nothing can be predicted, or nothing was", async () => {
  using place = smallPlace();
  place.file("one.txt", "cat\n");
  const run = (...args: string[]) => place.cloze(["pretrain", ...SMALL_MODEL, "--output", "out", ...args]);
  const none = await run("--data", "text.txt", "--steps", "3", "--mlm-probability", "0");
  assertEquals(none.code, 2, none.stderr);
  assertStringIncludes(none.stderr, "--mlm-probability is 0");

  const unlucky = await run("--data", "one.txt", "--steps", "2", "--mlm-probability", "0.000001");
  assertEquals(unlucky.code, 1, unlucky.stderr);
  assertStringIncludes(unlucky.stderr, "error: nothing was learned: in 2 steps no token was chosen to be predicted");
  assert(!unlucky.stderr.includes("trained"), unlucky.stderr);

  const learned = ["train-tokenizer", "--data", "text.txt", "--output", "tokenizer", "--vocab-size", "200"];
  assertEquals((await place.cloze(learned)).code, 0);
  place.file("thai.txt", "แมว และ หมา\n\n".repeat(100));
  for (const objective of ["mlm", "clm"]) {
    const { code, stderr } = await place.cloze([
      ...["pretrain", ...SMALL_MODEL, "--data", "thai.txt", "--tokenizer", "tokenizer", "--allow-unknown"],
      ...["--output", objective, "--steps", "3", "--objective", objective],
    ]);
    assertEquals(code, 1, stderr);
    assertStringIncludes(stderr, "nothing in the text can be predicted");
    assert(![...Deno.readDirSync(`${place.path}/${objective}`)].some(({ name }) => name === "run.json"));
  }
});

testWithCore("evaluate has null, and says so, where no token is predicted", async () => {
  using place = await trainedPlace(3);
  place.file("thai.txt", "แมว และ หมา\n".repeat(50));
  place.file("short.txt", "cat\n");
  for (const file of ["thai.txt", "short.txt"]) {
    const args = ["evaluate", "--model", "model", "--data", file, "--allow-unknown"];
    const asJson = await place.cloze([...args, "--json"]);
    assertEquals(asJson.code, 0, asJson.stderr);
    assertStringIncludes(asJson.stderr, "warning: nothing is measured: no token of the text is predicted");
    const { loss, perplexity, accuracy, accuracy_interval, top5_accuracy, masked, unigram } = JSON.parse(asJson.stdout);
    assertEquals([loss, perplexity, accuracy, accuracy_interval, top5_accuracy], [null, null, null, null, null]);
    assertEquals([masked, unigram.loss, unigram.accuracy], [0, null, null]);
    const readable = await place.cloze(args);
    assertStringIncludes(readable.stdout, "measured    nothing: no token of the text is predicted");
    assertNoFigure(readable.stdout.split("\n")[0]);
  }
});

testWithCore(
  "pretrain --valid measures on text of its own, trains on all of --data, and goes on with it",
  async (t) => {
    using place = smallPlace();
    place.file("valid.txt", "The bird likes the 고양이.\nEvery horse sees a dog at night.\n".repeat(20));
    const run = (...args: string[]) => place.cloze(["pretrain", ...SMALL_RUN, ...args]);

    await t.step("held-out text is the file, also for a run that goes on", async () => {
      const { code, stderr } = await run("--valid", "valid.txt", "--output", "out", "--steps", "4");
      assertEquals(code, 0, stderr);
      assertStringIncludes(stderr, "in 200 documents for training");
      assertMatch(stderr, /held out: \S+\/valid\.txt/);
      const { data } = JSON.parse(Deno.readTextFileSync(`${place.path}/out/run.json`));
      assertEquals(data.valid_files, [`${place.path}/valid.txt`]);
      const [start] = metricsOf(place, "out");
      assertEquals([start.train.documents, start.held_out.documents, start.held_out.sentences], [200, 40, 40]);
      assertStringIncludes(
        Deno.readTextFileSync(`${place.path}/out/report.html`),
        `<code>${place.path}/valid.txt</code>`,
      );
      const resumed = await place.cloze(["pretrain", "--resume", "out", "--steps", "6"]);
      assertEquals(resumed.code, 0, resumed.stderr);
      assertStringIncludes(resumed.stderr, "tokenized before");
      place.file("valid.txt", "The bird likes the dog.\n");
      const changed = await place.cloze(["pretrain", "--resume", "out", "--steps", "8"]);
      assertEquals(changed.code, 1, changed.stderr);
      assertStringIncludes(changed.stderr, "have changed since it began");
    });

    await t.step("text that is trained on is refused as the same file, and told by its lines", async () => {
      place.file("copy.txt", `${smallText(20)}\nSomething else\n`);
      const same = await run("--valid", "./text.txt", "--output", "same", "--steps", "2");
      assertEquals(same.code, 1, same.stderr);
      assertStringIncludes(same.stderr, "is in --valid and in --data");
      const copied = await run("--valid", "copy.txt", "--output", "copied", "--steps", "2");
      assertEquals(copied.code, 0, copied.stderr);
      assertStringIncludes(copied.stderr, "97.6% of them in the training text, too");
      assertStringIncludes(
        copied.stderr,
        "warning: 98% of the lines of the held-out text are lines of the training text",
      );
    });

    await t.step("the practice corpus and standard input are none of it", async () => {
      for (const args of [["--valid", "copy.txt"], ["--data", "text.txt", "--valid", "-"]]) {
        const { code, stderr } = await place.cloze(["pretrain", ...args, "--steps", "1"]);
        assertEquals(code, 2, stderr);
        assertStringIncludes(stderr, "--valid");
      }
    });

    await t.step("text that nothing is predicted in is told at the start", async () => {
      place.file("word.txt", "cat\n");
      const { code, stderr } = await run("--valid", "word.txt", "--output", "word", "--steps", "2");
      assertEquals(code, 0, stderr);
      assertMatch(
        stderr,
        /warning: the held-out text is so short \(\d tokens? in 1 document\) that nothing in it is predicted/,
      );
      assertStringIncludes(stderr, "hint: give more text with --valid FILE");
    });

    await t.step("its unknown words are checked apart from those of --data", async () => {
      place.file("thai.txt", "แมว และ หมา\n");
      const { code, stderr } = await run("--valid", "thai.txt", "--output", "thai", "--steps", "2");
      assertEquals(code, 1, stderr);
      assertStringIncludes(stderr, "100.0% of the words of --valid (3 of 3) became [UNK]");
    });
  },
);
