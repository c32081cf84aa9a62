/** A fine-tuning that was stopped or killed goes on, with the same command or `--resume`, to the same weights. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type Place, testWithCore, trainedPlace, until } from "../support.ts";

function labeled(from: number, count: number): string {
  const animals = ["cat", "dog", "horse"];
  const lines = Array.from(
    { length: count },
    (_, i) => `The ${animals[i % 3]} ${from + i} sees a bird.\t${animals[i % 3]}`,
  );
  return ["text\tlabel", ...lines].join("\n") + "\n";
}

async function labeledPlace(): Promise<Place> {
  const place = await trainedPlace();
  place.file("train.tsv", labeled(0, 120));
  place.file("valid.tsv", labeled(1000, 30));
  return place;
}

const FLAGS = ["finetune", "--model", "model", "--train", "train.tsv", "--valid", "valid.tsv", "--allow-unknown"]
  .concat(["--epochs", "60", "--seed", "3"]);
const weights = (place: Place, run: string) => Deno.readFileSync(`${place.path}/${run}/model.safetensors`);
const isThere = (path: string) => Deno.stat(path).then(() => true, () => false);

/** Starts a command and sends it a signal once something is there. */
async function stopAt(place: Place, args: string[], path: string, signal: Deno.Signal) {
  const child = place.start(args);
  await child.stdin.close();
  const done = child.output();
  await until(() => isThere(`${place.path}/${path}`));
  child.kill(signal);
  const { code, stderr } = await done;
  return { code, stderr: new TextDecoder().decode(stderr) };
}

async function good(place: Place, args: string[]): Promise<string> {
  const { code, stderr } = await place.cloze(args);
  assertEquals(code, 0, stderr);
  return stderr;
}

for (const how of [[], ["--probe"], ["--from-scratch", "--dtype", "f32"]]) {
  testWithCore(`finetune ${how.join(" ")} goes on after being killed and stopped, bit for bit`, async () => {
    using place = await labeledPlace();
    const flags = [...FLAGS, ...how];
    await good(place, [...flags, "--output", "whole"]);
    assertEquals(await isThere(`${place.path}/whole/checkpoints`), false, "they are for going on only");
    await stopAt(place, [...flags, "--output", "out"], "out/finetune.json", "SIGKILL");
    const stopped = await stopAt(place, [...flags, "--output", "out"], "out/metrics.jsonl", "SIGINT");
    assertEquals(stopped.code, 130, stopped.stderr);
    assertMatch(stopped.stderr, /stopped (after step \d+ of 240|before training)/);
    await stopAt(place, ["finetune", "--resume", "out"], "out/finetune.json", "SIGKILL");
    await stopAt(place, [...flags, "--output", "out"], "out/model.safetensors", "SIGKILL");
    await good(place, [...flags, "--output", "out"]);
    assertEquals(weights(place, "out"), weights(place, "whole"));
    const kinds = Deno.readTextFileSync(`${place.path}/out/metrics.jsonl`).trim().split("\n").map((line) =>
      JSON.parse(line)
    )
      .filter(({ kind }) => kind === "classification").map(({ split, step }) => `${split} ${step}`);
    assertEquals(kinds, [...Array.from({ length: 60 }, (_, i) => `valid ${4 * (i + 1)}`), "train 240"]);
    assertStringIncludes(await good(place, [...flags, "--output", "out"]), "is finished: 60 epochs");
    assertStringIncludes(await good(place, ["finetune", "--resume", "out"]), "is finished");
  });
}

testWithCore("finetune refuses another run in its folder, other text, and flags with --resume", async () => {
  using place = await labeledPlace();
  await stopAt(place, [...FLAGS, "--output", "out"], "out/model.safetensors", "SIGKILL");
  const refuse = async (args: string[], code: number, ...parts: string[]) => {
    const outcome = await place.cloze(args);
    assertEquals(outcome.code, code, outcome.stderr);
    for (const part of parts) assertStringIncludes(outcome.stderr, part);
  };
  await refuse(
    [...FLAGS, "--output", "out", "--probe"],
    1,
    "--probe is true, but that of the run is not given",
    "--resume",
  );
  await refuse(["finetune", "--resume", "out", "--epochs", "9"], 2, "--epochs is given too");
  await refuse(["finetune", "--resume", "model"], 1, "no finetune.json");
  await refuse([...FLAGS, "--output", "model"], 1, "already has files");
  place.file("valid.tsv", labeled(5000, 30));
  await refuse(["finetune", "--resume", "out"], 1, "valid.tsv has changed");
  place.file("train.tsv", "text\tlabel\none\ta\n");
  await refuse([...FLAGS, "--output", "new"], 1, "one class only");
  assertEquals(await isThere(`${place.path}/new/finetune.json`), false, "the folder is free again");
});
