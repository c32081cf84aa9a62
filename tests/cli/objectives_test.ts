/** Objectives as people run them: pretraining by each, what its model can do, and what it says it cannot. */

import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { type Place, SMALL_RUN, smallPlace, testWithCore, trainedPlace, until } from "../support.ts";

const read = (place: Place, path: string) => Deno.readFileSync(`${place.path}/${path}`);

testWithCore("a left-to-right model learns, says what it is, and refuses to fill blanks", async () => {
  using place = smallPlace();
  const { code, stderr } = await place.cloze([
    ...["pretrain", ...SMALL_RUN, "--objective", "clm", "--output", "model", "--steps", "60"],
  ]);
  assertEquals(code, 0, stderr);
  assertStringIncludes(stderr, "held-out next tokens");
  const config = JSON.parse(new TextDecoder().decode(read(place, "model/config.json")));
  assertEquals([config.architectures, config.is_decoder], [["BertLMHeadModel"], true]);

  const blanks = await place.cloze(["predict", "--model", "model"], { input: "The [MASK] sees.\n" });
  assertEquals(blanks.code, 1);
  assertStringIncludes(blanks.stderr, "cannot fill blanks: it is a left-to-right model");
  assertStringIncludes(blanks.stderr, "hint: ");

  const evaluated = await place.cloze(["evaluate", "--model", "model", "text.txt", "--json"]);
  assertEquals(evaluated.code, 0, evaluated.stderr);
  const result = JSON.parse(evaluated.stdout);
  assertEquals(result.objective, "clm");
  assert(result.loss < result.unigram.loss, "60 steps beat the text's own frequencies");
  const readable = await place.cloze(["evaluate", "--model", "model", "text.txt"]);
  assertStringIncludes(readable.stdout, "not comparable with masked tokens");

  const sentence = "The cat sees the dog.";
  const scored = await place.cloze(["evaluate", "--model", "model", "--sentences", "--json"], { input: sentence });
  const { kind, score, tokens } = JSON.parse(scored.stdout);
  assertEquals(kind, "log_likelihood");
  assertAlmostEquals(score, tokens.reduce((sum: number, t: { log_probability: number }) => sum + t.log_probability, 0));
});

for (const objective of ["mlm", "mlm+nsp", "clm"]) {
  // More tokens than the engine takes at once, so that updates are accumulated.
  testWithCore(
    `pretrain by ${objective} in accumulated updates, stopped and resumed, equals the whole run`,
    async () => {
      using place = smallPlace();
      const flags = ["--objective", objective, "--steps", "9", "--save-every", "2", "--seed", "3"];
      const args = ["pretrain", ...SMALL_RUN, ...flags].map((arg) => arg === "256" ? "20000" : arg);
      const whole = await place.cloze([...args, "--output", "whole"]);
      assertEquals(whole.code, 0, whole.stderr);
      const child = place.start([...args, "--output", "killed"]);
      await child.stdin.close();
      await until(() => Deno.stat(`${place.path}/killed/checkpoints/step-2`).then(() => true, () => false));
      child.kill("SIGKILL");
      await child.output();
      const resumed = await place.cloze(["pretrain", "--resume", "killed", "--save-every", "2"]);
      assertEquals(resumed.code, 0, resumed.stderr);
      assertEquals(read(place, "killed/model.safetensors"), read(place, "whole/model.safetensors"));
    },
  );
}

testWithCore("next-sentence prediction is learned beside blanks, and is measured", async () => {
  using place = smallPlace();
  const { code, stderr } = await place.cloze([
    ...["pretrain", ...SMALL_RUN, "--objective", "mlm+nsp", "--output", "model", "--steps", "200"],
  ]);
  assertEquals(code, 0, stderr);
  assertStringIncludes(stderr, "held-out pairs told right");
  const config = JSON.parse(new TextDecoder().decode(read(place, "model/config.json")));
  assertEquals(config.architectures, ["BertForPreTraining"]);
  const metrics = new TextDecoder().decode(read(place, "model/metrics.jsonl")).trim().split("\n");
  const measured = metrics.map((line) => JSON.parse(line)).filter(({ kind }) => /^(train|evaluation)$/.test(kind));
  assert(measured.length >= 2);
  for (const metric of measured) {
    assert(metric.nsp_loss > 0 && metric.nsp_accuracy >= 0 && metric.nsp_accuracy <= 1, JSON.stringify(metric));
  }
  const blanks = await place.cloze(["predict", "--model", "model"], { input: "The [MASK] sees.\n" });
  assertEquals(blanks.code, 0, blanks.stderr);

  const evaluated = await place.cloze(["evaluate", "--model", "model", "text.txt", "--json"]);
  assertEquals(evaluated.code, 0, evaluated.stderr);
  const result = JSON.parse(evaluated.stdout);
  assert(result.nsp_pairs > 50 && result.nsp_accuracy_interval[0] < result.nsp_accuracy);
  assert(result.in_pairs.loss < result.unigram.loss, "200 steps beat the text's own frequencies");
  place.file("lines.txt", "The cat sees the dog.\nThe dog likes the cat.\n");
  const single = await place.cloze(["evaluate", "--model", "model", "lines.txt"]);
  assertEquals(single.code, 0, single.stderr);
  assertStringIncludes(single.stderr, "next-sentence prediction is not measured");

  for (const [objective, flag] of [["mlm+nsp", "--full-sentences"], ["clm", "--masking=word"]]) {
    const refused = await place.cloze(["pretrain", ...SMALL_RUN, "--objective", objective, flag, "--output", "other"]);
    assertEquals(refused.code, 2);
    assertStringIncludes(refused.stderr, flag.replace(/=.*/, ""));
  }
});

testWithCore("evaluate tells groups apart, which add up, and scores sentences", async (t) => {
  using place = await trainedPlace(60);

  await t.step("by script and frequency, next to guessing", async () => {
    const { code, stdout, stderr } = await place.cloze(["evaluate", "--model", "model", "text.txt", "--json"]);
    assertEquals(code, 0, stderr);
    const result = JSON.parse(stdout);
    for (const groups of [result.by_script, result.by_frequency]) {
      const sum = (of: (group: { model: { count: number; loss: number } }) => number) =>
        groups.map(of).reduce((a: number, b: number) => a + b, 0);
      assertEquals(sum(({ model }) => model.count), result.masked);
      assertAlmostEquals(sum(({ model }) => model.count * model.loss) / result.masked, result.loss, 1e-9);
    }
    const names = result.by_script.map(({ name }: { name: string }) => name);
    assert(["Latin", "Hangul", "signs"].every((name) => names.includes(name)), String(names));
    assert(result.most_frequent.accuracy > 0, "special tokens are no answer");
    const readable = await place.cloze(["evaluate", "--model", "model", "text.txt"]);
    for (const word of ["by script", "Hangul", "by frequency", "1–100"]) assertStringIncludes(readable.stdout, word);
  });

  await t.step("a sentence's score is what predict says of each blank", async () => {
    const { stdout } = await place.cloze(["evaluate", "--model", "model", "--sentences", "--json"], {
      input: "The cat sees the dog.\n\nThe dog hears.\n",
    });
    const [first, second] = stdout.trim().split("\n").map((line) => JSON.parse(line));
    assertEquals([first.kind, second.input], ["pseudo_log_likelihood", "The dog hears."]);
    const words: string[] = first.tokens.map(({ token }: { token: string }) => token);
    for (const [i, word] of words.entries()) {
      // A piece inside a word cannot be written as a blank of its own.
      if (word.startsWith("##") || words[i + 1]?.startsWith("##")) continue;
      const input = words.map((w, j) => j === i ? " [MASK]" : w.startsWith("##") ? w.slice(2) : ` ${w}`).join("");
      const answer = await place.cloze(["predict", "--model", "model", "--json", "--top-k", "200"], { input });
      const { masks } = JSON.parse(answer.stdout);
      const { probability } = masks[0].find(({ token }: { token: string }) => token === word);
      assertAlmostEquals(first.tokens[i].log_probability, Math.log(probability), 1e-4);
    }
    assertAlmostEquals(first.perplexity, Math.exp(-first.score / words.length), 1e-9);
  });

  await t.step("and goes on after lines that it cannot score", async () => {
    const { code, stdout, stderr } = await place.cloze(["evaluate", "--model", "model", "--sentences"], {
      input: `The cat.\n${"cat ".repeat(100)}\nThe dog.\n`,
    });
    assertEquals(code, 1);
    assertEquals(stdout.trim().split("\n").map((line) => line.split("\t")[2]), ["The cat.", "The dog."]);
    assertStringIncludes(stderr, "line 2: it has 100 tokens, but the model takes at most 62");
  });
});
