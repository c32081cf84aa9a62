/** The other commands, and what the command line says about itself. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { loadTables } from "../../cli/commands/registry.ts";
import { Place, smallPlace, testWithCore, trainedPlace } from "../support.ts";

Deno.test("every command explains itself, and the overview names them all", async () => {
  using place = new Place();
  const overview = await place.cloze(["--help"]);
  assertEquals(overview.code, 0);
  for (const { name, summary } of await loadTables()) {
    assertStringIncludes(overview.stdout.replace(/\s+/g, " "), summary);
    for (const args of [[name, "--help"], [name, "-h"], ["help", name]]) {
      const { code, stdout } = await place.cloze(args);
      assertEquals(code, 0);
      assertStringIncludes(stdout, `deno run ${name}`);
      assertStringIncludes(stdout, "Examples:");
    }
  }
  for (const args of [["--version"], ["-V"], ["version"], ["predict", "--version"]]) {
    assertEquals((await place.cloze(args)).stdout, "cloze 0.1.0\n");
  }
  const none = await place.cloze([]);
  assertEquals(none.code, 2);
  for (const args of [["pretain"], ["help", "pretain"]]) {
    const wrong = await place.cloze(args);
    assertEquals(wrong.code, 2);
    assertStringIncludes(wrong.stderr, "did you mean pretrain?");
  }
});

Deno.test("train-tokenizer writes the same files each time; tokenize uses them", async () => {
  using place = smallPlace();
  for (const output of ["a", "b"]) {
    const { code, stderr } = await place.cloze([
      "train-tokenizer",
      "--data",
      "text.txt",
      "--output",
      output,
      "--vocab-size",
      "90",
    ]);
    assertEquals(code, 0, stderr);
    assertStringIncludes(stderr, "tokens, hash ");
  }
  for (const { name } of Deno.readDirSync(`${place.path}/a`)) {
    assertEquals(Deno.readTextFileSync(`${place.path}/a/${name}`), Deno.readTextFileSync(`${place.path}/b/${name}`));
  }
  const input = "The cat sees [MASK].\n고양이 고양이\n";
  const tokens = await place.cloze(["tokenize", "--tokenizer", "a"], { input });
  assertEquals(tokens.code, 0, tokens.stderr);
  const [first, second] = tokens.stdout.trim().split("\n");
  assertStringIncludes(first, "[MASK]");
  assertEquals(second.replaceAll(" ##", ""), "고양이 고양이");
  const json = await place.cloze(["tokenize", "--tokenizer", "a", "--json"], { input });
  const parsed = JSON.parse(json.stdout.split("\n")[0]);
  assertEquals(parsed.tokens.join(" "), first);
  const ids = await place.cloze(["tokenize", "--tokenizer", "a", "--ids"], { input });
  assertEquals(ids.stdout.split("\n")[0], parsed.ids.join(" "));
  const bad = await place.cloze(["tokenize", "--tokenizer", "a"], { input: new Uint8Array([0xff, 10, 97, 10]) });
  assertEquals(bad.code, 1);
  assertStringIncludes(bad.stderr, "line 1: it is not UTF-8");
  const missing = await place.cloze(["train-tokenizer", "--data", "text.txt"]);
  assertEquals(missing.code, 2);
});

testWithCore("evaluate measures a model on text, the same each time", async () => {
  using place = await trainedPlace(60);
  const run = async () => {
    const { code, stdout, stderr } = await place.cloze([
      "evaluate",
      "--model",
      "model",
      "--data",
      "text.txt",
      "--json",
    ]);
    assertEquals(code, 0, stderr);
    return stdout;
  };
  const result = JSON.parse(await run());
  assert(result.loss > 0 && result.loss < result.unigram.loss, "60 steps on this text beat its own frequencies");
  assert(result.accuracy_interval[0] < result.accuracy && result.accuracy < result.accuracy_interval[1]);
  assert(result.top5_accuracy > result.accuracy);
  assertEquals(JSON.parse(await run()), result);
  const readable = await place.cloze(["evaluate", "--model", "model", "text.txt"]);
  for (const word of ["loss", "accuracy", "95% interval", "guessing by frequency"]) {
    assertStringIncludes(readable.stdout, word);
  }
});

Deno.test("what is printed can be typed where it is printed: as a task, by npx, as an installed command", async () => {
  using place = new Place();
  for (
    const [env, called] of [
      [{}, "deno run"],
      [{ npm_lifecycle_event: "npx" }, "npx -y deno run"],
      [{ npm_lifecycle_event: "npx", CLOZE_CALLED: "cloze" }, "cloze"],
    ] as const
  ) {
    const hint = await place.cloze(["predict"], { env });
    assertStringIncludes(hint.stderr, `or train one with: ${called} pretrain\n`);
    const help = await place.cloze(["predict", "--help"], { env });
    assertStringIncludes(help.stdout, `${called} predict [FILE…]`);
    assertStringIncludes(help.stdout, `| ${called} predict --targets hot,cold`);
  }
});

testWithCore("inspect and tokenize take the newest run where none is named, and say so", async () => {
  using place = await trainedPlace(1);
  const none = await place.cloze(["inspect"]);
  assertEquals(none.code, 2);
  assertStringIncludes(none.stderr, "no run was given");
  Deno.mkdirSync(`${place.path}/runs`);
  Deno.renameSync(`${place.path}/model`, `${place.path}/runs/mine`);
  const inspected = await place.cloze(["inspect"]);
  assertEquals(inspected.code, 0, inspected.stderr);
  assertStringIncludes(inspected.stderr, "runs/mine");
  assertMatch(inspected.stdout, /^batch 0 {2}.*\n {2}\d+ \[MASK\]‹was›, \d+ replaced‹was›, \d+ kept‹kept›\n/);
  for (const line of inspected.stdout.split("\n")) assert(line.length <= 100, line);
  const other = await place.cloze(["inspect", "--seed", "3"]);
  assertEquals(other.code, 2);
  assertStringIncludes(other.stderr, "what a run sees is in its folder, but --seed is given too");
  const tokens = await place.cloze(["tokenize"], { input: "The cat\n" });
  assertEquals(tokens.code, 0, tokens.stderr);
  assertStringIncludes(tokens.stderr, "tokenizer: ");
  assertEquals(
    (await place.cloze(["tokenize", "--tokenizer", "runs/mine"], { input: "The cat\n" })).stdout,
    tokens.stdout,
  );
});
