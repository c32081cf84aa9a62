/** The same run in 1, 2 and 4 processes, under every MPI launcher that there is. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { inspectMachine } from "../../ffi/mod.ts";
import { readMetrics } from "../../run/metrics_file.ts";
import { launcher, launchers, outcome, processOf, result, start, testWithMpi } from "../launchers.ts";
import { SMALL_CONFIG, SMALL_RUN, smallPlace, testWithCore, until } from "../support.ts";

const gpu = await inspectMachine().then(({ cuda }) => cuda.problem === null, () => false);

const steps = (count: number) => ["--steps", String(count), "--threads", "1"];

testWithMpi("pretrain has the same bits in one process, two and four, whatever carries their messages", async (t) => {
  using place = smallPlace();
  for (const more of [["--dtype", "f32"], ["--objective", "mlm+nsp", "--dtype", "bf16", "--optimizer", "muon"]]) {
    const name = more[1];
    const args = ["pretrain", ...SMALL_RUN, ...steps(6), ...more, "--output"];
    const alone = await place.cloze([...args, `${name}-0`, "--micro-batches", "8"]);
    assertEquals(alone.code, 0, alone.stderr);
    const expected = await result(place, `${name}-0`, 6);
    for (const by of launchers) {
      // The first launcher shows everything, the others that their library is spoken to rightly.
      for (const processes of by === launcher ? [1, 2, 4] : name === "f32" ? [2] : []) {
        await t.step(`${by.name}, ${processes}, ${more.join(" ")}`, async () => {
          const output = `${name}-${by.name.replaceAll(/\W/g, "")}-${processes}`;
          const { code, stderr } = await outcome(start(place, by, processes, [...args, output]));
          assertEquals(code, 0, stderr);
          assertEquals(await result(place, output, 6), expected);
          assertMatch(stderr, new RegExp(`share +${processes} process`));
          assertEquals(stderr.match(/^trained /gm)?.length, 1, "one of them tells");
        });
      }
    }
  }
});

testWithMpi(
  "a run that loses a process ends at once, and goes on with another number of them to the same bits",
  async () => {
    using place = smallPlace();
    // So large that each of four processes has a share of the moments.
    place.file(
      "config.json",
      JSON.stringify({ ...JSON.parse(SMALL_CONFIG), hidden_size: 128, intermediate_size: 512 }),
    );
    const args = ["pretrain", ...SMALL_RUN, ...steps(80), "--dtype", "f32", "--save-every", "10", "--output"];
    const alone = await place.cloze([...args, "alone", "--micro-batches", "8"]);
    assertEquals(alone.code, 0, alone.stderr);
    const child = start(place, launcher, 2, [...args, "run"]);
    const done = outcome(child);
    await until(() => exists(`${place.path}/run/checkpoints/step-10`));
    const victim = processOf(place, 1);
    Deno.kill(victim, "SIGKILL");
    const began = performance.now();
    await done;
    assert(performance.now() - began < 20_000, "nothing waits for it");
    assertEquals(await exists(`${place.path}/run/checkpoints/step-80`), false);
    const { code, stderr } = await outcome(
      start(place, launcher, 4, ["pretrain", "--resume", "run", "--threads", "1"]),
    );
    assertEquals(code, 0, stderr);
    assertEquals(await result(place, "run", 80), await result(place, "alone", 80));
  },
);

testWithMpi("a signal to one of the processes stops all of them at the same step, with a checkpoint", async () => {
  using place = smallPlace();
  const args = ["pretrain", ...SMALL_RUN, ...steps(5000), "--save-every", "5000", "--output", "run"];
  const child = start(place, launcher, 2, args);
  const done = outcome(child);
  await until(() => exists(`${place.path}/run/metrics.jsonl`));
  const victim = processOf(place, 1);
  await until(async () => (await readMetrics(`${place.path}/run/metrics.jsonl`)).some(({ kind }) => kind === "train"));
  Deno.kill(victim, "SIGTERM");
  const { code, stderr } = await done;
  assertEquals(code, 130);
  assertMatch(stderr, /stopped after step [\d,]+; everything is saved/);
  const saved = Array.from(Deno.readDirSync(`${place.path}/run/checkpoints`), ({ name }) => +name.replace("step-", ""));
  assertStringIncludes(stderr.replaceAll(",", ""), `after step ${Math.max(...saved)};`); // a slow run saves by the clock, too
});

testWithMpi("processes that cannot do one run together say why, once, and all of them end", async (t) => {
  using place = smallPlace();
  const args = ["pretrain", ...SMALL_RUN, ...steps(4), "--output"];
  const refused = async (processes: number, args: string[], others?: string[]) => {
    const { code, stderr } = await outcome(start(place, launcher, processes, args, others));
    assert(code !== 0, stderr);
    assertEquals(stderr.match(/^error: /gm)?.length, 1, stderr);
    return stderr;
  };

  await t.step("other flags", async () => {
    const stderr = await refused(2, [...args, "a"], [...args, "a", "--seed", "5"]);
    assertMatch(stderr, /the processes are not alike: rank 0 of 2 .*, but rank 1 of 2 .* was called with .*--seed 5/);
    assertEquals(await exists(`${place.path}/a`), false);
  });

  await t.step("a number that does not divide an update", async () => {
    const stderr = await refused(3, [...args, "b"]);
    assertStringIncludes(stderr, "3 processes cannot share an update of 8 micro-batches evenly");
    assertStringIncludes(stderr, "hint: start 2 processes");
  });

  await t.step("a run whose updates are not cut", async () => {
    assertEquals((await place.cloze([...args, "c"])).code, 0);
    const stderr = await refused(2, ["pretrain", "--resume", "c", "--steps", "9"]);
    assertStringIncludes(stderr, "the updates of this run are not cut into micro-batches");
  });

  await t.step("GPUs that are not there, and the reference engine", async () => {
    if (!gpu) {
      const began = performance.now();
      const stderr = await refused(2, [...args, "d", "--device", "cuda"]);
      assertMatch(stderr, /error: rank 0 of 2 \(.+\) has no CUDA device: /);
      assertStringIncludes(stderr, "--device cpu does without the GPU");
      assert(performance.now() - began < 60_000, "nobody waits for anybody");
      assertEquals(await exists(`${place.path}/d`), false);
      const auto = await outcome(start(place, launcher, 2, [...args, "auto", "--device", "auto"]));
      assertEquals(auto.code, 0, auto.stderr);
      assertStringIncludes(auto.stderr, "there is no GPU that can be used");
    }
    assertStringIncludes(await refused(2, [...args, "e", "--engine", "candle"]), "--engine candle is for one process");
  });

  await t.step("text that is not there", async () => {
    const stderr = await refused(2, ["pretrain", "--data", "nothing.txt", "--output", "f", "--steps", "1"]);
    assertStringIncludes(stderr, "nothing.txt");
  });

  await t.step("a number that is not finite", async () => {
    const stderr = await refused(2, ["pretrain", ...SMALL_RUN.slice(0, -1), "1e6", ...steps(500), "--output", "g"]);
    assertMatch(stderr, /error: .*NaN or infinite/);
  });

  await t.step("a folder that cannot be written", async () => {
    Deno.mkdirSync(`${place.path}/h`);
    const child = start(place, launcher, 2, [...args, "h"]);
    const done = outcome(child);
    await until(() => exists(`${place.path}/h/run.json`));
    place.file("h/checkpoints", "not a folder");
    const { code, stderr } = await done;
    assert(code !== 0);
    assertMatch(stderr, /^error: .*checkpoints/m);
  });
});

testWithCore("a process that a launcher started does not train alone", async (t) => {
  using place = smallPlace();
  const args = [...SMALL_RUN, ...steps(1), "--output", "run"];
  const env = { OMPI_COMM_WORLD_SIZE: "2", OMPI_COMM_WORLD_RANK: "0", CLOZE_MPI_LIB: `${place.path}/text.txt` };

  await t.step("without a library", async () => {
    const { code, stderr } = await place.cloze(["pretrain", ...args], { env });
    assertEquals(code, 1);
    assertMatch(
      stderr,
      /^error: mpirun started 2 processes that cannot work together: the MPI library .* cannot be used/m,
    );
    assertStringIncludes(stderr, "hint: install the MPI library of that launcher");
    assertEquals(await exists(`${place.path}/run`), false);
  });

  await t.step("in a command for one process", async () => {
    const { code, stderr } = await place.cloze(["finetune", "--model", "m", "--data", "d", "--output", "run"], { env });
    assertEquals(code, 2);
    assertStringIncludes(stderr, "cloze finetune runs in one process, but mpirun started 2 processes of it");
  });
});

testWithMpi("bench in two processes tells what they do together, and with how many bytes", async () => {
  using place = smallPlace();
  const flags = ["bench", "--preset", "tiny", "--dtype", "f32", "--vocab-size", "500", "--threads", "1", "--profile"];
  const { code, stdout, stderr } = await outcome(start(place, launcher, 2, [...flags, "--json"]));
  assertEquals(code, 0, stderr);
  const { processes, presets: [{ profile, parameter_count }] } = JSON.parse(stdout);
  assertEquals(processes, 2);
  type Part = { operation: string; calls: number; ms: number; bytes: number };
  const parts = (profile as Part[]).filter(({ operation }) => operation.startsWith("exchange: "));
  const of = (name: string) => parts.find(({ operation }) => operation === `exchange: ${name}`)!;
  assertEquals(parts.map(({ operation }) => operation.slice(10)).sort(), [
    ...["gradients", "meeting", "numbers", "sums", "weights"],
  ]);
  assertEquals(
    of("gradients").bytes + of("weights").bytes,
    4 * parameter_count,
    "each sends one half, and gets the other",
  );
  assert(of("numbers").bytes > 0 && of("numbers").bytes < 4096 && of("meeting").bytes + of("sums").bytes === 0);
  assertEquals([of("gradients").calls, of("meeting").calls], [1, 3]);
  const alone = await place.cloze([...flags, "--json"]);
  assertEquals(alone.code, 0, alone.stderr);
  assert(!alone.stdout.includes("exchange: "), "one process exchanges nothing");
});

const exists = (path: string) => Deno.stat(path).then(() => true, () => false);
