/** `cloze pretrain` as people run it: files it leaves, stopping, being killed, going on. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { buildCandle, type Place, SMALL_RUN, smallPlace, testWithCore, until } from "../support.ts";

const read = (place: Place, path: string) => Deno.readTextFileSync(`${place.path}/${path}`);

/** Losses of a run by step, from its metrics. */
function losses(place: Place, run: string): Map<number, number> {
  const lines = read(place, `${run}/metrics.jsonl`).trim().split("\n").map((line) => JSON.parse(line));
  return new Map(lines.filter((line) => line.kind === "evaluation").map((line) => [line.step, line.loss]));
}

testWithCore(
  "pretrain leaves a Hugging Face folder, metrics, and checkpoints of which the newest two are kept",
  async () => {
    using place = smallPlace();
    const { code, stdout, stderr } = await place.cloze([
      "pretrain",
      ...SMALL_RUN,
      "--output",
      "out",
      "--steps",
      "20",
      "--save-every",
      "5",
    ]);
    assertEquals(code, 0, stderr);
    assertEquals(stdout, "", "standard output is for data only");
    for (const line of ["loss ", "guessing by frequency", "95% interval", "folder", "next"]) {
      assertStringIncludes(
        stderr,
        line,
      );
    }
    const files = [...Deno.readDirSync(`${place.path}/out`)].map((entry) => entry.name).sort();
    for (
      const name of ["config.json", "metrics.jsonl", "model.safetensors", "run.json", "special_tokens_map.json"]
        .concat(["tokenizer.json", "tokenizer_config.json", "vocab.txt"])
    ) assert(files.includes(name), `${name} is missing from ${files}`);
    assertEquals(JSON.parse(read(place, "out/config.json")).architectures, ["BertForMaskedLM"]);
    const checkpoints = [...Deno.readDirSync(`${place.path}/out/checkpoints`)].map((entry) => entry.name).sort();
    assertEquals(checkpoints, ["step-15", "step-20"]);
    const state = JSON.parse(read(place, "out/checkpoints/step-20/training_state.json"));
    assertEquals(state.step, 20);
    const beside = [...Deno.readDirSync(`${place.path}/out/checkpoints/step-20`)].map((entry) => entry.name);
    assertEquals(Object.keys(state.sha256).concat("training_state.json").sort(), beside.sort());
    assertEquals(state.lines <= read(place, "out/metrics.jsonl").split("\n").length - 1, true);
    assertEquals(files.filter((name) => name.endsWith(".tmp")), []);
  },
);

testWithCore(
  "pretrain --architecture megatron-bert leaves a folder of its class, which the other commands read",
  async () => {
    using place = smallPlace();
    const sizes = SMALL_RUN.filter((word) => word !== "--config" && word !== "config.json");
    const run = ["pretrain", ...sizes, "--output", "out", "--steps", "4", "--architecture", "megatron-bert"];
    const { code, stderr } = await place.cloze(run);
    assertEquals(code, 0, stderr);
    const { model_type, architectures } = JSON.parse(read(place, "out/config.json"));
    assertEquals([model_type, architectures], ["megatron-bert", ["MegatronBertForMaskedLM"]]);
    const predicted = await place.cloze(["predict", "--model", "out"], { input: "a [MASK] of text\n" });
    assertEquals(predicted.code, 0, predicted.stderr);
    const evaluated = await place.cloze(["evaluate", "--model", "out", "--data", "text.txt"]);
    assertEquals(evaluated.code, 0, evaluated.stderr);
    const both = await place.cloze([
      "pretrain",
      "--architecture",
      "bert",
      "--config",
      "out/config.json",
      "--steps",
      "1",
    ]);
    assertEquals(both.code, 2);
    assertStringIncludes(both.stderr, "--config and --architecture");
  },
);

testWithCore("pretrain gives the same weights for a seed, whatever the number of threads", async () => {
  using place = smallPlace();
  for (const [output, threads] of [["a", "1"], ["b", "2"]]) {
    const { code, stderr } = await place.cloze([
      "pretrain",
      ...SMALL_RUN,
      "--output",
      output,
      "--steps",
      "12",
      "--threads",
      threads,
    ]);
    assertEquals(code, 0, stderr);
  }
  const [a, b] = ["a", "b"].map((run) => Deno.readFileSync(`${place.path}/${run}/model.safetensors`));
  assertEquals(a, b);
});

testWithCore(
  "pretrain killed twice in mid-epoch and resumed equals the run that was never stopped, bit for bit",
  async () => {
    using place = smallPlace();
    const flags = ["--steps", "140", "--save-every", "7", "--evaluate-every", "20"];
    const whole = await place.cloze(["pretrain", ...SMALL_RUN, "--output", "whole", ...flags]);
    assertEquals(whole.code, 0, whole.stderr);

    const killAfter = async (args: string[], step: number) => {
      const child = place.start(args);
      await child.stdin.close();
      const checkpoint = `${place.path}/killed/checkpoints/step-${step}`;
      await until(() => Deno.stat(checkpoint).then(() => true, () => false));
      child.kill("SIGKILL");
      const { signal } = await child.output();
      return signal;
    };
    assertEquals(await killAfter(["pretrain", ...SMALL_RUN, "--output", "killed", ...flags], 14), "SIGKILL");
    const resume = ["pretrain", "--resume", "killed", "--save-every", "7", "--evaluate-every", "20"];
    assertEquals(await killAfter(resume, 35), "SIGKILL");
    const end = await place.cloze(resume);
    assertEquals(end.code, 0, end.stderr);
    assertStringIncludes(end.stderr, "resume");

    assertEquals(losses(place, "killed"), losses(place, "whole"));
    for (const file of ["model.safetensors", "checkpoints/step-140/training_state.safetensors"]) {
      const [a, b] = ["whole", "killed"].map((run) => Deno.readFileSync(`${place.path}/${run}/${file}`));
      assert(a.length === b.length && a.every((byte, i) => byte === b[i]), `${file} differs`);
    }
  },
);

testWithCore(
  "pretrain stops at the next step on a signal, also one that comes twice, saves, exits 130 and can go on",
  async (t) => {
    using place = smallPlace();
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      await t.step(signal, async () => {
        const flags = ["--steps", "100000", "--threads", "1"];
        const child = place.start(["pretrain", ...SMALL_RUN, "--output", signal, ...flags]);
        await child.stdin.close();
        const done = child.output();
        const metrics = `${place.path}/${signal}/metrics.jsonl`;
        await until(() => Deno.readTextFile(metrics).then((text) => text.includes('"kind":"train"'), () => false));
        child.kill(signal);
        try {
          child.kill(signal); // as npx and the runner of tasks send it on
        } catch {
          // It was that quick.
        }
        const { code, stderr } = await done;
        const text = new TextDecoder().decode(stderr);
        assertEquals(code, 130, text);
        assertMatch(text, /stopped after step [\d,]+; everything is saved/);
        assertMatch(text, new RegExp(`next +deno run pretrain --resume ${signal} --threads 1\n$`));
        assertEquals(text.includes("error:"), false, "what was wanted is no error");
        const steps = [...Deno.readDirSync(`${place.path}/${signal}/checkpoints`)].map(({ name }) =>
          Number(name.slice(5))
        );
        const last = JSON.parse(read(place, `${signal}/metrics.jsonl`).trim().split("\n").at(-1)!);
        assertEquals([last.kind, last.step, last.interrupted], ["end", Math.max(...steps), true]);
      });
    }
  },
);

testWithCore("pretrain with a budget ends by the clock, with its learning rate near zero", async () => {
  using place = smallPlace();
  const { code, stderr } = await place.cloze(["pretrain", ...SMALL_RUN, "--output", "out", "--budget", "4s"]);
  assertEquals(code, 0, stderr);
  const lines = read(place, "out/metrics.jsonl").trim().split("\n").map((line) => JSON.parse(line));
  const rates = lines.filter((line) => line.kind === "train").map((line) => line.learning_rate);
  assert(rates[rates.length - 1] < 0.1 * 3e-3, `it ends with a learning rate of ${rates[rates.length - 1]}`);
  assert(lines.filter((line) => line.kind === "evaluation").length >= 2);
  const [{ elapsed_ms }] = lines.slice(-1);
  assert(elapsed_ms > 2500, `${elapsed_ms} ms`);
});

testWithCore("pretrain with the candle engine learns what the fused engine learns", async () => {
  await buildCandle();
  using place = smallPlace();
  for (const engine of ["fused", "candle"]) {
    const { code, stderr } = await place.cloze([
      "pretrain",
      ...SMALL_RUN,
      "--output",
      engine,
      "--steps",
      "4",
      "--engine",
      engine,
    ]);
    assertEquals(code, 0, stderr);
  }
  const [a, b] = ["fused", "candle"].map((engine) => losses(place, engine).get(4)!);
  assert(Math.abs(a - b) < 1e-3, `${a} ${b}`);
});

testWithCore("pretrain uses a given tokenizer and tokenizes the same text once", async () => {
  using place = smallPlace();
  const learned = await place.cloze([
    "train-tokenizer",
    "--data",
    "text.txt",
    "--output",
    "tokenizer",
    "--vocab-size",
    "150",
  ]);
  assertEquals(learned.code, 0, learned.stderr);
  const flags = SMALL_RUN.filter((flag) => flag !== "--vocab-size" && flag !== "200");
  const { code, stderr } = await place.cloze([
    "pretrain",
    ...flags,
    "--tokenizer",
    "tokenizer",
    "--output",
    "out",
    "--steps",
    "2",
  ]);
  assertEquals(code, 0, stderr);
  assertEquals(read(place, "out/vocab.txt"), read(place, "tokenizer/vocab.txt"));
  const again = await place.cloze(["pretrain", "--resume", "out", "--steps", "4"]);
  assertEquals(again.code, 0, again.stderr);
  assertStringIncludes(again.stderr, "tokenized before");
});
