/** What bad data, flags, folders and disks get: a message that says what and where, and nothing half-written. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Outcome, Place, SMALL_CONFIG, SMALL_RUN, smallPlace, smallText, testWithCore } from "../support.ts";

/** Checks that a command failed in an orderly way. */
function assertRefused(outcome: Outcome, code: number, ...parts: string[]): void {
  assertEquals(outcome.code, code, outcome.stderr);
  assertEquals(outcome.stdout, "");
  assertStringIncludes(outcome.stderr, "error: ");
  assert(!/\n\s+at |panicked|Stack backtrace/.test(outcome.stderr), outcome.stderr);
  for (const part of parts) assertStringIncludes(outcome.stderr, part);
}

const gzip = async (text: string) =>
  new Uint8Array(
    await new Response(new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer(),
  );

Deno.test("data that is missing, empty, binary, broken or not UTF-8 is refused by name", async (t) => {
  const zipped = await gzip(smallText());
  const cases: [string, string | Uint8Array | undefined, string][] = [
    ["missing.txt", undefined, "does not exist"],
    ["empty.txt", "", "has no text in it"],
    ["blank.txt", "\n\n  \n", "has no text in it"],
    ["zip.txt", new Uint8Array([80, 75, 3, 4, 0, 0, 1]), "looks like a zip archive"],
    ["binary.txt", new Uint8Array([7, 75, 3, 4, 0, 0, 1]), "NUL byte"],
    ["latin.txt", new Uint8Array([...new TextEncoder().encode("ok\nthen "), 0xe9, 0x20, 10]), "not UTF-8"],
    ["cut.txt.gz", zipped.subarray(0, zipped.length - 30), "broken gzip"],
    ["fake.txt.gz", "this is no gzip", "broken gzip"],
  ];
  for (const [name, content, message] of cases) {
    await t.step(name, async () => {
      using place = new Place();
      if (content !== undefined) place.file(name, content);
      const outcome = await place.cloze(["pretrain", "--data", name, "--output", "out", "--steps", "1"]);
      assertRefused(outcome, 1, name, message);
      const left = await Array.fromAsync(Deno.readDir(`${place.path}/out`)).catch(() => []);
      assertEquals(left.filter((entry) => entry.name !== ".lock"), [], "nothing was left behind");
    });
  }
  await t.step("a folder without text, a glob that matches nothing", async () => {
    using place = new Place();
    Deno.mkdirSync(`${place.path}/folder`);
    assertRefused(await place.cloze(["pretrain", "--data", "folder"]), 1, "no .txt");
    assertRefused(await place.cloze(["pretrain", "--data", "x/*.txt"]), 1, "x");
  });
});

Deno.test("flags that are unknown, out of range or contradict each other exit 2 with a hint", async () => {
  using place = smallPlace();
  const cases: [string[], string][] = [
    [["--dta", "text.txt"], "did you mean --data?"],
    [["--steps", "0"], "whole number from 1"],
    [["--steps", "many"], "whole number"],
    [["--steps"], "needs a value"],
    [["--steps", "1", "--epochs", "1"], "give one of them"],
    [["--budget", "soon"], "90s"],
    [["--preset", "mni"], "did you mean mini?"],
    [["--learning-rate=-1"], "a number from"],
    [["--steps", "1", "--steps", "2"], "more than once"],
    [["stray"], "--data"],
    [["--resume", "x", "--seed", "1"], "--seed"],
    [["--data", "text.txt", "--batch-tokens", "64"], "less than one sequence"],
    [["--data", "text.txt", "--max-sequence-length", "1024"], "512 positions"],
  ];
  for (const [flags, part] of cases) assertRefused(await place.cloze(["pretrain", ...flags]), 2, part);
});

Deno.test("an output folder that is in use, occupied or cannot be written is refused and left alone", async () => {
  using place = smallPlace();
  Deno.mkdirSync(`${place.path}/full`);
  place.file("full/precious.txt", "mine");
  assertRefused(await place.cloze(["pretrain", ...SMALL_RUN, "--output", "full"]), 1, "already has files");
  assertEquals(Deno.readTextFileSync(`${place.path}/full/precious.txt`), "mine");
  place.file("file", "a file");
  assertRefused(await place.cloze(["pretrain", ...SMALL_RUN, "--output", "file"]), 1, "file");
  Deno.mkdirSync(`${place.path}/busy`);
  using lock = Deno.openSync(`${place.path}/busy/.lock`, { create: true, write: true });
  lock.lockSync(true);
  assertRefused(await place.cloze(["pretrain", ...SMALL_RUN, "--output", "busy"]), 1, "another process");
});

testWithCore("a disk that fills up ends the run with a message and keeps the last good checkpoint", async () => {
  using place = smallPlace();
  const main = new URL("../../cli/main.ts", import.meta.url).pathname;
  // A limit on file size is the full disk that needs no special rights: the shards fit, the moments do not.
  const script = `trap '' XFSZ; ulimit -f 96; "${Deno.execPath()}" run -q -A ${main} pretrain ${
    SMALL_RUN.join(" ")
  } --output out --steps 5`;
  const output = await new Deno.Command("bash", { args: ["-c", script], cwd: place.path, env: place.env })
    .output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assertRefused({ code: output.code, stdout: decode(output.stdout), stderr: decode(output.stderr) }, 1, "could not");
  const left = await Array.fromAsync(Deno.readDir(`${place.path}/out/checkpoints`)).catch(() => []);
  assertEquals(left, [], "no half-written checkpoint");
});

testWithCore(
  "a loss that is not finite stops the run, names the tensor and step, and keeps the last checkpoint",
  async () => {
    using place = smallPlace();
    const flags = SMALL_RUN.filter((flag) => flag !== "--learning-rate" && flag !== "3e-3");
    const outcome = await place.cloze(
      ["pretrain", ...flags, "--output", "out", "--steps", "200", "--save-every", "1", "--learning-rate", "1e6"],
    );
    assertRefused(outcome, 1, "is NaN or infinite at step", "the last checkpoint is step", "learning rate");
    assert(/(parameter|output|gradient|loss)/.test(outcome.stderr));
    const checkpoints = [...Deno.readDirSync(`${place.path}/out/checkpoints`)];
    assert(checkpoints.length > 0 && checkpoints.every((entry) => !entry.name.startsWith(".")));
    assertStringIncludes(outcome.stderr, "usual causes: the learning rate is too high");
    const metrics = Deno.readTextFileSync(`${place.path}/out/metrics.jsonl`).trim().split("\n");
    assertEquals(metrics.map((line) => JSON.parse(line)).at(-1).rule, "non_finite");
    assertStringIncludes(Deno.readTextFileSync(`${place.path}/out/report.html`), "a number was no longer finite");
  },
);

testWithCore("a report that cannot be written does not stop a run, and what stands there stays", async () => {
  using place = smallPlace();
  const first = await place.cloze(["pretrain", ...SMALL_RUN, "--output", "out", "--steps", "2"]);
  assertEquals(first.code, 0, first.stderr);
  place.file("out/report.html", "my own notes");
  const { code, stderr } = await place.cloze(["pretrain", "--resume", "out", "--steps", "4"]);
  assertEquals(code, 0, stderr);
  assertEquals(stderr.match(/exists and is not a report of cloze/g)?.length, 1, stderr);
  assertEquals(Deno.readTextFileSync(`${place.path}/out/report.html`), "my own notes");
});

testWithCore(
  "a run whose newest checkpoint is damaged goes on from the one before it, with the same result",
  async () => {
    using place = smallPlace();
    const flags = [
      "pretrain",
      ...SMALL_RUN,
      "--output",
      "out",
      "--steps",
      "4",
      "--save-every",
      "2",
      "--keep-checkpoints",
    ];
    assertEquals((await place.cloze([...flags, "3"])).code, 0);
    const weights = `${place.path}/out/model.safetensors`, good = Deno.readFileSync(weights);
    const moments = (step: number) => `${place.path}/out/checkpoints/step-${step}/training_state.safetensors`;
    const damage = (step: number) => {
      const bad = Deno.readFileSync(moments(step));
      bad[bad.length - 1] ^= 1;
      Deno.writeFileSync(moments(step), bad);
    };
    damage(4);
    const again = await place.cloze(["pretrain", "--resume", "out"]);
    assertEquals(again.code, 0, again.stderr);
    assertStringIncludes(again.stderr, "step-4/training_state.safetensors is damaged: its SHA-256 is");
    assertStringIncludes(again.stderr, "after step 2");
    assertEquals(Deno.readFileSync(weights), good);
    for (const { name } of [...Deno.readDirSync(`${place.path}/out/checkpoints`)]) {
      if (/^step-\d+$/.test(name)) damage(Number(name.slice(5)));
    }
    assertRefused(await place.cloze(["pretrain", "--resume", "out"]), 1, "no checkpoint of", "is whole");
  },
);

testWithCore("a run whose record was edited, or whose data has changed, is not resumed", async () => {
  using place = smallPlace();
  const first = await place.cloze(["pretrain", ...SMALL_RUN, "--output", "out", "--steps", "2"]);
  assertEquals(first.code, 0, first.stderr);
  const record = Deno.readTextFileSync(`${place.path}/out/run.json`);
  place.file("out/run.json", record.replace('"seed": 0', '"seed": 1'));
  const refused = await place.cloze(["pretrain", "--resume", "out"]);
  assertRefused(refused, 1, "run.json is damaged or was edited", 'remove the field "checksum"');
  place.file("out/run.json", record.replace(/,\s*"checksum": "\w+"/, ""));
  const taken = await place.cloze(["pretrain", "--resume", "out"]);
  assertEquals(taken.code, 0, taken.stderr);
  assertStringIncludes(taken.stderr, "run.json has no checksum");
  place.file("out/run.json", record);
  place.file("text.txt", smallText(150));
  assertRefused(await place.cloze(["pretrain", "--resume", "out", "--steps", "4"]), 1, "have changed");
  assertRefused(await place.cloze(["pretrain", "--resume", "nowhere"]), 1, "run.json");
});

Deno.test("a config that is no JSON, of another model, or impossible is refused by its field", async () => {
  using place = smallPlace();
  const run = (config: string) => {
    place.file("config.json", config);
    return place.cloze(["pretrain", ...SMALL_RUN, "--output", `out${Math.random()}`, "--steps", "1"]);
  };
  assertRefused(await run("{"), 1, "config.json is not JSON");
  assertRefused(await run(JSON.stringify({ ...JSON.parse(SMALL_CONFIG), model_type: "gpt2" })), 1, "gpt2");
  assertRefused(await run(JSON.stringify({ hidden_size: 32 })), 1, "num_hidden_layers is missing");
  assertRefused(
    await run(JSON.stringify({ ...JSON.parse(SMALL_CONFIG), num_attention_heads: 3 })),
    1,
    "num_attention_heads",
  );
  assertRefused(await run(JSON.stringify({ ...JSON.parse(SMALL_CONFIG), hidden_act: "quick_gelu" })), 1, "hidden_act");
  assertRefused(await run(JSON.stringify({ ...JSON.parse(SMALL_CONFIG), vocab_size: 10 })), 1, "vocab_size 10");
});

testWithCore(
  "a signal while the vocabulary is learned says that nothing is learned yet, and the same command begins again",
  async () => {
    using place = new Place();
    // Words without anything in common, so that learning takes a while.
    let state = 1;
    const letter = () => String.fromCharCode(97 + (state = state * 48271 % 0x7FFFFFFF) % 26);
    const line = () => Array.from({ length: 10 }, () => Array.from({ length: 12 }, letter).join("")).join(" ");
    place.file("text.txt", Array.from({ length: 15_000 }, line).join("\n"));
    const args = ["pretrain", "--data", "text.txt", "--output", "out", "--vocab-size", "30000", "--steps", "1"];
    for (const _ of [1, 2]) {
      const child = place.start(args);
      await child.stdin.close();
      let said = "";
      for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) {
        if (!said.includes("learning the vocabulary") && (said + chunk).includes("learning the vocabulary")) {
          child.kill("SIGINT");
        }
        said += chunk;
      }
      await child.stdout.cancel();
      assertEquals((await child.status).code, 130, said);
      assertStringIncludes(said, "nothing is learned yet\nnext     deno run pretrain --resume out");
    }
  },
);
