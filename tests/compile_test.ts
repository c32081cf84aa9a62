/**
 * The single binary. Where deno compile's base binary can be had (DENORT_BIN, or CLOZE_TEST_COMPILE=1 with a network) it is
 * built and run in an empty folder; elsewhere that test is skipped and the dry run shows what would be inside.
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { launcher, outcome, result, startProgram } from "./launchers.ts";
import { Place, SMALL_RUN, smallPlace, testWithCore, trainedPlace } from "./support.ts";

const root = new URL("..", import.meta.url).pathname;
const canCompile = Deno.env.has("DENORT_BIN") || Deno.env.has("CLOZE_TEST_COMPILE");

const compile = (args: string[]) =>
  new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "-q", `${root}tools/compile.ts`, ...args],
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();

testWithCore("a dry run of compile embeds the core library and every command", async () => {
  const { code, stdout, stderr } = await compile(["--dry-run"]);
  const text = new TextDecoder().decode(stdout);
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  for (
    const part of [
      "target/release/libcloze_core",
      "main.ts",
      "commands/*",
      "fill_mask.ts",
      "practice/*",
      "unit_worker.ts",
    ]
      .concat(["hyparquet", "uplot/", "page/*", "dry run:"])
  ) {
    assertStringIncludes(text, part);
  }
});

const SKIPPED =
  " (skipped: deno compile's base binary is not at hand; set DENORT_BIN, or CLOZE_TEST_COMPILE=1 with a network)";

Deno.test({
  name: `the compiled binary predicts in an empty folder${canCompile ? "" : SKIPPED}`,
  ignore: !canCompile,
  fn: async () => {
    const { code, stderr } = await compile([]);
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    using place = await trainedPlace();
    using empty = new Place();
    const script = `echo "The [MASK] sees the dog." | "${root}dist/cloze" predict --model "${place.path}/model" --json`;
    const output = await new Deno.Command("bash", { args: ["-c", script], cwd: empty.path, env: empty.env }).output();
    assertEquals(output.code, 0, new TextDecoder().decode(output.stderr));
    assertEquals(JSON.parse(new TextDecoder().decode(output.stdout)).masks.length, 1);
  },
});

Deno.test({
  name: `eight processes of the compiled binary that start at once find a whole core${canCompile ? "" : SKIPPED}`,
  ignore: !canCompile,
  fn: async () => {
    const { code, stderr } = await compile([]);
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    using place = new Place();
    const env = { ...place.env, TMPDIR: place.path }; // where nothing was put before
    const start = () => new Deno.Command(`${root}dist/cloze`, { args: ["doctor"], env, cwd: place.path }).output();
    for (const { code, stderr } of await Promise.all(Array.from({ length: 8 }, start))) {
      assertEquals(code, 0, new TextDecoder().decode(stderr));
    }
  },
});

Deno.test({
  name: `two processes of the compiled binary share a run${
    canCompile ? launcher === undefined ? " (skipped: no MPI launcher)" : "" : SKIPPED
  }`,
  ignore: !canCompile || launcher === undefined,
  fn: async () => {
    const { code, stderr } = await compile([]);
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    using place = smallPlace();
    const args = ["pretrain", ...SMALL_RUN, "--steps", "4", "--threads", "1", "--output"];
    const alone = await place.cloze([...args, "alone", "--micro-batches", "8"]);
    assertEquals(alone.code, 0, alone.stderr);
    const two = await outcome(startProgram(place, launcher, 2, [`${root}dist/cloze`, ...args, "two"]));
    assertEquals(two.code, 0, two.stderr);
    assertEquals(await result(place, "two", 4), await result(place, "alone", 4));
  },
});
