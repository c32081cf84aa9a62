/** `cloze reproduce` as people run it: a verdict, being killed, going on, and what it refuses. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Place, smallText, testWithCore, until } from "../support.ts";

/** Labeled texts of two kinds, about animals. */
function labeled(count: number): string {
  const texts = ["The cat sees the dog.", "Every bird follows a horse at night."];
  return ["text\tlabel", ...Array.from({ length: count }, (_, i) => `${texts[i % 2]}\t${i % 2}`)].join("\n") + "\n";
}

function experimentPlace(): Place {
  const place = new Place();
  place.file("text.txt", smallText(40));
  place.file("train.tsv", labeled(8));
  place.file("valid.tsv", labeled(6));
  return place;
}

const EXPERIMENT = ["reproduce", "convergence", "--data", "text.txt", "--train", "train.tsv", "--valid", "valid.tsv"]
  .concat(["--output", "out", "--seeds", "2", "--steps", "16", "--vocab-size", "120", "--max-sequence-length", "16"]);

testWithCore("reproduce compares its conditions, keeps every accuracy, and goes on after it was killed", async () => {
  using place = experimentPlace();
  const child = place.start(EXPERIMENT);
  await child.stdin.close();
  const done = child.output();
  const results = `${place.path}/out/results.jsonl`;
  const lines = () => Deno.readTextFile(results).then((text) => text.split("\n").filter(Boolean), () => []);
  await until(async () => (await lines()).length >= 3);
  child.kill("SIGKILL");
  await done;
  const before = await lines();
  const { code, stdout, stderr } = await place.cloze([...EXPERIMENT, "--json"]);
  assertEquals(code, 0, stderr);
  const after = await lines();
  assertEquals(after.slice(0, before.length), before, "what was measured is not measured again");
  assertEquals(after.length, 2 * 2 * 6, "two conditions, two seeds, five checkpoints and random initialization");
  const result = JSON.parse(stdout);
  assertEquals(result.steps, [1, 2, 4, 8, 16]);
  assertEquals(Object.keys(result.accuracies), ["mlm", "clm"]);
  assertEquals(Object.values(result.untrained).map((seeds) => (seeds as number[]).length), [2, 2]);
  assert(["supported", "not supported", "not decidable at this size"].includes(result.verdict));
  const told = await place.cloze(EXPERIMENT);
  const parts = ["| masked LM", "| 0 (random)", "| commonest class | 50.0%", "Devlin et al.", "95% interval"];
  for (const part of [...parts, `Verdict: ${result.verdict}`]) {
    assertStringIncludes(told.stdout, part);
  }
  assertStringIncludes(Deno.readTextFileSync(`${place.path}/out/report.html`), `Verdict: ${result.verdict}`);
  const page = await place.cloze(["report", "out", "--output", "page.html"]);
  assertEquals(page.code, 0, page.stderr);
  const text = await place.cloze(["report", "out", "--text"]);
  assertEquals(text.stdout, told.stdout);
  // As an experiment looks that was begun before random initialization was measured.
  place.file("out/results.jsonl", after.filter((line) => JSON.parse(line).step > 0).join("\n") + "\n");
  const old = await place.cloze([...EXPERIMENT, "--json"]);
  assertEquals(old.code, 0, old.stderr);
  assertEquals(JSON.parse(old.stdout).accuracies, result.accuracies);
  assertEquals(JSON.parse(old.stdout).untrained, result.untrained);
  const seeds = await place.cloze(EXPERIMENT.map((word) => (word === "2" ? "3" : word)));
  assertEquals(seeds.code, 1);
  assertStringIncludes(seeds.stderr, "begun with other flags");
});

testWithCore(
  "reproduce blanks fills the same held-out blanks with both models, and names where they cross",
  async () => {
    using place = experimentPlace();
    const experiment = ["reproduce", "blanks", "--data", "text.txt", "--output", "out", "--seeds", "2", "--steps", "32"]
      .concat(["--vocab-size", "120", "--max-sequence-length", "16", "--batch-tokens", "128"]);
    const { code, stdout, stderr } = await place.cloze([...experiment, "--json"]);
    assertEquals(code, 0, stderr);
    assertStringIncludes(stderr, "4 runs of 32 steps (2 conditions, 2 seeds), 40 models that fill blanks");
    const result = JSON.parse(stdout);
    assertEquals(result.steps, [2, 4, 6, 8, 12, 16, 20, 24, 28, 32]);
    for (const name of ["mlm", "clm"]) {
      const losses = result.losses[name].map((seeds: { mean: number; error: number }[]) => {
        assert(seeds.length === 2 && seeds.every(({ mean, error }) => mean > 0 && error > 0));
        return seeds[0].mean;
      });
      assert(losses.at(-1) < losses[0], `${name} learns: ${losses}`);
      assert(losses.at(-1) < result.guessing_loss, `${name} is better than guessing: ${losses}`);
    }
    assertEquals(result.findings.length, 4);
    const told = (await place.cloze(experiment)).stdout;
    for (const part of ["| by frequency", "masked LM: loss", "nats (95% interval", "- by loss, masked LM"]) {
      assertStringIncludes(told, part);
    }
    const labeled = await place.cloze([...experiment, "--train", "train.tsv"]);
    assertEquals(labeled.code, 2);
    assertStringIncludes(labeled.stderr, "--train is for claims that fine-tune; blanks fills blanks");
  },
);

testWithCore("reproduce goes on after Ctrl-C with the same command, also where its steps were rounded", async () => {
  using place = experimentPlace();
  const experiment = EXPERIMENT.map((word, i) => EXPERIMENT[i - 1] === "--steps" ? "335" : word);
  const child = place.start(experiment);
  await child.stdin.close();
  const done = child.output();
  const metrics = `${place.path}/out/pretraining/mlm-0/metrics.jsonl`;
  await until(() => Deno.readTextFile(metrics).then((text) => text.includes('"kind":"train"'), () => false));
  child.kill("SIGINT");
  const stopped = await done;
  assertEquals(stopped.code, 130, new TextDecoder().decode(stopped.stderr));
  assertEquals(JSON.parse(Deno.readTextFileSync(`${place.path}/out/plan.json`)).steps, 320);
  const again = place.start(experiment);
  await again.stdin.close();
  const ended = again.output();
  // The checkpoint of Ctrl-C has not driven out the first of those that are compared.
  await until(() => Deno.stat(`${place.path}/out/models/mlm-0/step-20`).then(() => true, () => false));
  again.kill("SIGKILL");
  await ended;
});

testWithCore(
  "reproduce hands on columns and dtype, and refuses an experiment whose conditions cannot differ",
  async () => {
    using place = experimentPlace();
    place.file("text.csv", "body\n" + smallText(40).split("\n").filter(Boolean).join("\n") + "\n");
    for (const name of ["train", "valid"]) place.file(`${name}.tsv`, labeled(8).replace("text\tlabel", "body\tclass"));
    const words: Record<string, string> = { convergence: "masking", "text.txt": "text.csv" };
    const experiment = EXPERIMENT.map((word) => words[word] ?? word)
      .concat(["--text-column", "body", "--label-column", "class", "--dtype", "f32", "--on-invalid", "replace"]);
    const { code, stderr } = await place.cloze(experiment);
    assertEquals(code, 0, stderr);
    const commands = stderr.split("\n").filter((line) => line.startsWith("cloze "));
    const of = (name: string) => commands.filter((line) => line.startsWith(`cloze ${name} `));
    assertEquals(["train-tokenizer", "pretrain", "finetune"].map((name) => of(name).length), [1, 4, 6]);
    assert(commands.every((line) => line.includes("--text-column body --on-invalid replace")));
    assert([...of("pretrain"), ...of("finetune")].every((line) => line.includes("--dtype f32")));
    assert(
      of("finetune").every((line) => line.includes("--label-column class --dtype f32") && line.includes("--probe")),
    );
    assertEquals(of("finetune").filter((line) => line.endsWith("--from-scratch")).length, 2);

    const long = Array.from({ length: 4000 }, (_, i) => `The cat number ${i} sees a dog at night.`).join("\n");
    place.file("text.txt", long);
    const short = await place.cloze(EXPERIMENT.map((word) => ({ convergence: "dynamic", out: "other" })[word] ?? word));
    assertEquals(short.code, 2, short.stderr);
    assertStringIncludes(short.stderr, "the conditions differ only from 2 passes on");
  },
);

testWithCore("reproduce checks a claim with models of another family, and refuses one that lacks a class", async () => {
  using place = experimentPlace();
  const blanks = ["reproduce", "blanks", "--data", "text.txt", "--seeds", "2", "--steps", "16", "--vocab-size", "120"]
    .concat(["--max-sequence-length", "16", "--batch-tokens", "128", "--json"]);
  const megatron = await place.cloze([...blanks, "--output", "blanks", "--architecture", "megatron-bert"]);
  assertEquals(megatron.code, 0, megatron.stderr);
  assertEquals(Object.keys(JSON.parse(megatron.stdout).losses), ["mlm", "clm"]);
  const typed = megatron.stderr.split("\n").filter((line) => line.startsWith("cloze pretrain "));
  assert(typed.length === 4 && typed.every((line) => line.includes("--architecture megatron-bert")), megatron.stderr);
  const config = JSON.parse(Deno.readTextFileSync(`${place.path}/blanks/models/clm-1/step-16/config.json`));
  assertEquals([config.model_type, config.architectures], ["megatron-bert", ["MegatronBertForCausalLM"]]);

  const masking = EXPERIMENT.map((word) => word === "convergence" ? "masking" : word);
  const roberta = await place.cloze([...masking, "--architecture", "roberta", "--json"]);
  assertEquals(roberta.code, 0, roberta.stderr);
  assertEquals(Object.keys(JSON.parse(roberta.stdout).accuracies), ["mixed", "mask-only"]);

  const refused = await place.cloze([...blanks, "--output", "other", "--architecture", "roberta"]);
  assertEquals(refused.code, 2);
  assertStringIncludes(refused.stderr, "a model of the family roberta cannot be trained for clm");
  assertEquals(Array.from(Deno.readDirSync(place.path)).some(({ name }) => name === "other"), false);
});

Deno.test("reproduce refuses an unknown experiment, missing files and a length that is not clear", async () => {
  using place = experimentPlace();
  const refuse = async (args: string[], code: number, ...parts: string[]) => {
    const outcome = await place.cloze(args);
    assertEquals(outcome.code, code, outcome.stderr);
    for (const part of parts) assertStringIncludes(outcome.stderr, part);
  };
  await refuse(["reproduce"], 2, "needs the name of an experiment", "convergence");
  await refuse(["reproduce", "convergense"], 2, "did you mean convergence?");
  await refuse(["reproduce", "convergence", "--data", "text.txt"], 2, "--train FILE");
  await refuse([...EXPERIMENT, "--budget", "1h"], 2, "either --steps or --budget");
  await refuse(EXPERIMENT.map((word) => (word === "valid.tsv" ? "gone.tsv" : word)), 1, "gone.tsv does not exist");
});
