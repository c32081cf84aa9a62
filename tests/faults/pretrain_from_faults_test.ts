/** What `pretrain --from` refuses: flags that do not go with it, and folders that are no model to go on with. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Outcome, type Place, smallText, testWithCore, trainedPlace } from "../support.ts";

/** Checks that a command failed in an orderly way. */
function assertRefused(outcome: Outcome, code: number, ...parts: string[]): void {
  assertEquals(outcome.code, code, outcome.stderr);
  assertEquals(outcome.stdout, "");
  assert(!/\n\s+at |panicked|Stack backtrace/.test(outcome.stderr), outcome.stderr);
  for (const part of ["error: ", "hint: ", ...parts]) assertStringIncludes(outcome.stderr, part);
}

const FROM = ["pretrain", "--from", "model", "--data", "text.txt", "--steps", "1", "--max-sequence-length", "32"];

/** Nothing was left in the folder that the command was to make. */
async function assertNothingIn(place: Place, output: string): Promise<void> {
  const left = await Array.fromAsync(Deno.readDir(`${place.path}/${output}`)).catch(() => []);
  assertEquals(left.filter(({ name }) => name !== ".lock").map(({ name }) => name), []);
}

testWithCore("pretrain --from refuses flags of a new model, flags without it, and its own folders", async (t) => {
  using place = await trainedPlace();
  place.file("other.txt", smallText(5));
  const cases: [string, string[], string[]][] = [
    ["a config", [...FROM, "--config", "config.json"], ["--config is for a new model", "leave --from out"]],
    ["a preset", [...FROM, "--preset", "mini"], ["--preset is for a new model"]],
    ["a tokenizer", [...FROM, "--tokenizer", "model"], ["--tokenizer is for a new model"]],
    ["a size", [...FROM, "--vocab-size", "99"], ["--vocab-size is for a new model", "--extend N"]],
    ["case", [...FROM, "--lowercase"], ["--lowercase is for a new model"]],
    ["words", [...FROM, "--pre-tokenizer", "characters"], ["--pre-tokenizer is for a new model"]],
    ["special tokens", [...FROM, "--special-token", "[X]"], ["--special-token is for a new model", "extend-vocab"]],
    ["no text", ["pretrain", "--from", "model"], ["no text is given", "--data PATH"]],
    ["left to right", [...FROM, "--objective", "clm"], ["sees the whole text", "leave --objective out"]],
    ["too long", [...FROM.slice(0, -1), "65"], ["has only 64 positions", "--max-sequence-length 64"]],
    ["itself", [...FROM, "--output", "model"], ["lies in the output folder", "--resume model"]],
    ["inside", [
      ...["pretrain", "--from", "model/checkpoints/step-3", "--data", "text.txt", "--output", "model"],
    ], ["lies in the output folder"]],
    ["extend without it", ["pretrain", "--data", "text.txt", "--extend", "9"], ["--extend is for a run that goes on"]],
    ["replay without it", ["pretrain", "--data", "text.txt", "--replay", "other.txt:5%"], ["--replay is for a run"]],
    ["reference without it", ["pretrain", "--data", "text.txt", "--reference", "other.txt"], ["--reference is for"]],
    ["no share", [...FROM, "--replay", "other.txt"], ["such as other.txt:5%"]],
    ["too large a share", [...FROM, "--replay", "other.txt:100%"], ["such as other.txt:5%"]],
    ["with resume", ["pretrain", "--resume", "model", "--from", "model"], ["--resume takes everything", "--from"]],
  ];
  for (const [name, args, parts] of cases) {
    await t.step(name, async () => {
      const outcome = await place.cloze(
        args.includes("--output") || name === "with resume" ? args : [...args, "--output", "out"],
      );
      assertRefused(outcome, 2, ...parts);
      await assertNothingIn(place, "out");
    });
  }
  await t.step("a reference that is trained on", async () => {
    for (
      const [flags, said] of [
        [["--reference", "text.txt"], "is in --reference and in --data"],
        [["--reference", "other.txt", "--replay", "other.txt:5%"], "is in --reference and in --replay"],
      ] as const
    ) {
      assertRefused(await place.cloze([...FROM, ...flags, "--output", "out"]), 1, said);
    }
  });
  await t.step("a folder with another run in it", async () => {
    const other = ["pretrain", "--data", "text.txt", "--config", "config.json", "--output", "other", "--steps", "1"];
    assertEquals((await place.cloze([...other, "--max-sequence-length", "32", "--batch-tokens", "64"])).code, 0);
    assertRefused(await place.cloze([...FROM, "--output", "other"]), 1, "already has another run", "another --output");
  });
});

testWithCore("pretrain --from refuses what is no model, and parts that do not belong together", async (t) => {
  using place = await trainedPlace();
  const model = `${place.path}/model`;
  const copy = (change: (folder: string) => void) => {
    const folder = `${place.path}/broken`;
    Deno.removeSync(folder, { recursive: true });
    Deno.mkdirSync(folder);
    for (const name of ["config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt", "model.safetensors"]) {
      Deno.copyFileSync(`${model}/${name}`, `${folder}/${name}`);
    }
    change(folder);
  };
  Deno.mkdirSync(`${place.path}/broken`);
  const edit = (folder: string, change: (config: Record<string, unknown>) => void) => {
    const config = JSON.parse(Deno.readTextFileSync(`${folder}/config.json`));
    change(config);
    Deno.writeTextFileSync(`${folder}/config.json`, JSON.stringify(config));
  };
  const vocabulary = JSON.parse(Deno.readTextFileSync(`${model}/config.json`)).vocab_size;
  const cases: [string, (folder: string) => void, string[]][] = [
    ["no config", (folder) => Deno.removeSync(`${folder}/config.json`), ["config.json"]],
    ["no weights", (folder) => Deno.removeSync(`${folder}/model.safetensors`), ["model.safetensors"]],
    ["no tokenizer", (folder) => {
      for (const name of ["tokenizer.json", "vocab.txt"]) Deno.removeSync(`${folder}/${name}`);
    }, ["tokenizer"]],
    ["a tokenizer with more tokens than the weights", (folder) => {
      edit(folder, (config) => config.vocab_size = vocabulary - 1);
    }, ["tokenizer and model belong to different runs"]],
    ["a tokenizer and a config of another size than the weights", (folder) => {
      edit(folder, (config) => config.vocab_size = vocabulary + 8);
    }, ["word_embeddings.weight has shape", "belong to different models"]],
    ["another hidden size", (folder) => edit(folder, (config) => config.hidden_size = 64), ["has shape"]],
    ["more layers", (folder) => edit(folder, (config) => config.num_hidden_layers = 3), ["is missing"]],
    ["another architecture", (folder) => edit(folder, (config) => config.architectures = ["T5Model"]), ["T5Model"]],
    ["weights cut short", (folder) => Deno.truncateSync(`${folder}/model.safetensors`, 5000), [
      "not a whole safetensors",
    ]],
  ];
  for (const [name, change, parts] of cases) {
    await t.step(name, async () => {
      copy(change);
      const args = ["pretrain", "--from", "broken", ...FROM.slice(3), "--output", "out"];
      const outcome = await place.cloze(args);
      assertEquals(outcome.code, 1, outcome.stderr);
      assert(!/\n\s+at |panicked|Stack backtrace/.test(outcome.stderr), outcome.stderr);
      for (const part of ["error: ", ...parts]) assertStringIncludes(outcome.stderr, part);
      const names = (await Array.fromAsync(Deno.readDir(`${place.path}/out`)).catch(() => [])).map(({ name }) => name);
      assertEquals(
        names.filter((name) => name !== ".lock"),
        [],
        "nothing is prepared for a model that cannot be opened",
      );
    });
  }
  await t.step("nothing there, a file, a run without a model", async () => {
    Deno.mkdirSync(`${place.path}/empty`);
    for (
      const [path, said] of [["nowhere", "there is no model in"], ["text.txt", "text.txt"], ["empty", "config.json"]]
    ) {
      const outcome = await place.cloze(["pretrain", "--from", path, ...FROM.slice(3), "--output", "out"]);
      assertEquals(outcome.code, 1, outcome.stderr);
      assertStringIncludes(outcome.stderr, said);
    }
  });
});
