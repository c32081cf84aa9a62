/** The same command again, `--resume`, and making a run longer: what becomes of a folder at any stage of a run. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type Place, SMALL_RUN, smallPlace, smallText, testWithCore, until } from "../support.ts";

const bytes = (place: Place, path: string) => Deno.readFileSync(`${place.path}/${path}`);
const json = (place: Place, path: string) => JSON.parse(Deno.readTextFileSync(`${place.path}/${path}`));

/** Metrics of a kind. */
function metrics(place: Place, run: string, kind: string): Record<string, number>[] {
  const lines = Deno.readTextFileSync(`${place.path}/${run}/metrics.jsonl`).trim().split("\n");
  return lines.map((line) => JSON.parse(line)).filter((line) => line.kind === kind);
}

/** Runs a command that has to succeed. */
async function good(place: Place, args: string[], input?: string): Promise<string> {
  const { code, stderr } = await place.cloze(args, input === undefined ? {} : { input });
  assertEquals(code, 0, stderr);
  return stderr;
}

const RUN = ["pretrain", ...SMALL_RUN, "--steps", "12"];

/** A copy of a run's folder without some of its files. */
async function copyWithout(place: Place, from: string, to: string, names: string[]): Promise<void> {
  const { code } = await new Deno.Command("cp", { args: ["-r", from, to], cwd: place.path }).output();
  assertEquals(code, 0);
  for (const name of names) Deno.removeSync(`${place.path}/${to}/${name}`, { recursive: true });
}

testWithCore("pretrain given again, or resumed, goes on or begins again from every stage of a run", async (t) => {
  using place = smallPlace();
  await good(place, [...RUN, "--output", "whole", "--save-every", "4", "--keep-checkpoints", "3"]);
  const weights = bytes(place, "whole/model.safetensors");
  const model = ["config.json", "tokenizer.json", "vocab.txt", "metrics.jsonl", "report.html", "model.safetensors"];
  const stages: [string, string[], string][] = [
    ["nothing but the record and half a folder of data", ["checkpoints", ...model, "data/train.shard"], "begin "],
    ["no checkpoint", ["checkpoints", "model.safetensors"], "begin "],
    ["a checkpoint", ["checkpoints/step-8", "checkpoints/step-12", "model.safetensors"], "after step 4"],
    ["the last checkpoint, but no model", ["model.safetensors", "report.html"], "after step 12"],
  ];
  for (const [stage, missing, said] of stages) {
    await t.step(stage, async () => {
      for (const [how, args] of [["again", [...RUN, "--output", "run"]], ["resume", ["pretrain", "--resume", "run"]]]) {
        await copyWithout(place, "whole", "run", missing);
        if (stage.startsWith("nothing")) {
          const { cloze_version, created, model, training, engine, tokenizer, data } = json(place, "run/run.json");
          const planned = { cloze_version, created, model: { ...model, vocab_size: null }, training, engine }; // as first written
          const rest = { dtype: "auto", tokenizer, data: { ...data, source: null } };
          place.file("run/run.json", JSON.stringify({ ...planned, ...rest }));
        }
        const stderr = await good(place, args as string[]);
        assertStringIncludes(stderr, said, how as string);
        assertEquals(bytes(place, "run/model.safetensors"), weights);
        const evaluated = metrics(place, "run", "evaluation").map(({ step }) => step);
        assertEquals(evaluated, [...new Set(evaluated)], "nothing is measured twice");
        Deno.removeSync(`${place.path}/run`, { recursive: true });
      }
    });
  }
  await t.step("only data, before the record was written", async () => {
    Deno.mkdirSync(`${place.path}/early/data`, { recursive: true });
    place.file("early/.run.json.0a1b2c3d.tmp", "{");
    const refused = await place.cloze(["pretrain", "--resume", "early"]);
    assertEquals(refused.code, 1);
    assertStringIncludes(refused.stderr, "original command");
    await good(place, [...RUN, "--output", "early"]);
    assertEquals(bytes(place, "early/model.safetensors"), weights);
  });
});

testWithCore("pretrain killed while it reads its text, or before its first checkpoint, goes on", async () => {
  using place = smallPlace();
  place.file("text.txt", smallText(20_000));
  const flags = [...RUN.slice(0, -1), "300"]; // steps
  await good(place, [...flags, "--output", "whole"]);
  for (const file of ["run.json", "data/files.json", "config.json", "metrics.jsonl"]) {
    const child = place.start([...flags, "--output", "out"]);
    await child.stdin.close();
    const done = child.output();
    await until(() => Deno.stat(`${place.path}/out/${file}`).then(() => true, () => false));
    child.kill("SIGKILL");
    await done;
  }
  await good(place, ["pretrain", "--resume", "out"]);
  assertEquals(bytes(place, "out/model.safetensors"), bytes(place, "whole/model.safetensors"));
});

testWithCore("pretrain that is finished says so and trains no step; another one in its folder is refused", async () => {
  using place = smallPlace();
  await good(place, [...RUN, "--output", "out"]);
  const before = Deno.readTextFileSync(`${place.path}/out/metrics.jsonl`);
  Deno.removeSync(`${place.path}/out/data`, { recursive: true }); // nobody needs it any more
  for (const args of [[...RUN, "--output", "out"], ["pretrain", "--resume", "out"]]) {
    assertStringIncludes(await good(place, args), "is finished: 12 steps");
  }
  await good(place, ["pretrain", "--resume", "out", "--steps", "12"]);
  assertEquals(Deno.readTextFileSync(`${place.path}/out/metrics.jsonl`), before);

  const others: [string[], string][] = [
    [["--seed", "1"], "training.seed is 1, but that of the run is 0"],
    [["--masking", "word"], 'training.masking is "word"'],
    [["--dtype", "f32", "--engine", "candle"], 'engine is "candle"'],
    [["--lowercase"], "tokenizer is"],
  ];
  for (const [flags, part] of others) {
    const { code, stderr } = await place.cloze([...RUN, ...flags, "--output", "out"]);
    assertEquals(code, 1, stderr);
    assertStringIncludes(stderr, part);
    assertStringIncludes(stderr, "--resume out");
  }
  const longer = await place.cloze([...RUN.slice(0, -1), "20", "--output", "out"]);
  assertEquals(longer.code, 1);
  assertStringIncludes(longer.stderr, "make it longer");
});

testWithCore("pretrain whose flags were wrong, or that was stopped at once, does not hold its folder", async () => {
  using place = smallPlace();
  place.file("text.csv", "body\nThe cat sees a dog.\n".repeat(30));
  const args = (output: string, ...more: string[]) =>
    [...RUN, "--output", output, ...more].map((word) => word === "text.txt" ? "text.csv" : word);
  assertEquals((await place.cloze(args("out"))).code, 1);
  assertEquals(await Deno.stat(`${place.path}/out`).then(() => true, () => false), false);
  await good(place, args("out", "--text-column", "body"));
  await copyWithout(place, "out", "killed", ["checkpoints"]);
  const stderr = await good(place, args("killed", "--text-column", "body", "--seed", "1"));
  assertMatch(stderr, /begin +again: .*training\.seed is 1, but that of the run is 0/);
  assertEquals(json(place, "killed/run.json").training.seed, 1);
});

testWithCore("pretrain --resume --steps makes a run longer, from where it stood, the same way each time", async () => {
  using place = smallPlace();
  await good(place, [...RUN, "--output", "out"]);
  await copyWithout(place, "out", "killed", []);
  const longer = (run: string) => ["pretrain", "--resume", run, "--steps", "40", "--save-every", "6"];
  assertMatch(await good(place, longer("out")), /longer +40 steps instead of 12 steps/);
  const [extension] = json(place, "out/run.json").extensions;
  assertEquals(extension, { step: 12, extent: { steps: 40 }, progress: 0.3, recipe_progress: 1, learning_rate: 0 });
  assertEquals(json(place, "out/run.json").training.extent, { steps: 12 });

  const child = place.start(longer("killed"));
  await child.stdin.close();
  const done = child.output();
  await until(() => Deno.stat(`${place.path}/killed/checkpoints/step-18`).then(() => true, () => false));
  child.kill("SIGKILL");
  await done;
  await good(place, [...RUN, "--output", "killed"]); // the original command goes on with what was made of the run
  assertEquals(bytes(place, "killed/model.safetensors"), bytes(place, "out/model.safetensors"));
  const rates = metrics(place, "out", "train").filter(({ step }) => step > 12).map((line) => line.learning_rate);
  assert(rates.every((rate) => rate <= 3e-3 * 0.7 / 0.94 + 1e-12), "never above that of a run of 40 steps");
  assert(rates[0] > 0 && rates.at(-1)! < 1e-4, `${rates}`);

  const refused = await place.cloze(["pretrain", "--resume", "out", "--steps", "20"]);
  assertEquals(refused.code, 2, refused.stderr);
  assertStringIncludes(refused.stderr, "has 40 steps, and 20 steps is less");
  const had = await place.cloze(["pretrain", "--resume", "out", "--epochs", "0.1"]);
  assertEquals(had.code, 2, had.stderr);
  assertStringIncludes(had.stderr, "already");
  await good(place, ["pretrain", "--resume", "out", "--epochs", "5"]);
  assertEquals(json(place, "out/run.json").extensions.length, 2);
});

testWithCore("pretrain goes on with its own shards where the text is gone, and not with other text", async () => {
  using place = smallPlace();
  await good(place, [...RUN, "--output", "whole"]);
  await copyWithout(place, "whole", "out", ["checkpoints/step-12", "model.safetensors"]);
  const text = Deno.readTextFileSync(`${place.path}/text.txt`);
  place.file("text.txt", text + "Another line.\n");
  for (let i = 0; i < 2; i++) {
    const changed = await place.cloze(["pretrain", "--resume", "out"]);
    assertEquals(changed.code, 1, changed.stderr);
    assertStringIncludes(changed.stderr, "have changed");
  }
  Deno.removeSync(`${place.path}/text.txt`);
  const again = await place.cloze([...RUN, "--output", "out"]);
  assertEquals(again.code, 1);
  assertMatch(again.stderr, /text\.txt does not exist\nhint: .*deno run pretrain --resume out/);
  const stderr = await good(place, ["pretrain", "--resume", "out"]);
  assertStringIncludes(stderr, "text.txt is not there any more; the run goes on");
  assertEquals(bytes(place, "out/model.safetensors"), bytes(place, "whole/model.safetensors"));
});

testWithCore("pretrain on standard input goes on with the same text, and refuses another", async () => {
  using place = smallPlace();
  const args = [...RUN, "--output", "out"].map((word) => word === "text.txt" ? "-" : word);
  await good(place, args, smallText());
  assertStringIncludes(await good(place, args, smallText()), "is finished");
  const { code, stderr } = await place.cloze(args, { input: smallText(20) });
  assertEquals(code, 1, stderr);
  assertStringIncludes(stderr, "standard input is not the text");
  for (const name of ["checkpoints/step-12", "model.safetensors", "data/stdin"]) {
    Deno.removeSync(`${place.path}/out/${name}`, { recursive: true });
  }
  assertStringIncludes(await good(place, ["pretrain", "--resume", "out"]), "stdin is not there any more");
});
