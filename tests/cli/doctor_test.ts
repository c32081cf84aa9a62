/** `cloze doctor`, and `--device` on machines with and without a GPU. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { inspectMachine } from "../../ffi/mod.ts";
import { buildCandle, Place, testWithCore, trainedPlace } from "../support.ts";

const gpu = await inspectMachine().then(({ cuda }) => cuda.problem === null, () => false);

testWithCore("doctor tells what there is and what to install for a GPU", async (t) => {
  using place = new Place();

  await t.step("for people", async () => {
    const { code, stdout, stderr } = await place.cloze(["doctor"]);
    assertEquals([code, stderr], [0, ""]);
    const rows = stdout.trimEnd().split("\n").map((line) => line.slice(0, 10).trim());
    const first = ["cloze", "deno", "system", "core", "cpu", "memory", "dtype", "driver", "cublasLt", "nvrtc", "nccl"];
    assertEquals(rows.slice(0, first.length), first);
    assert(/^dtype {5}auto takes (f32|bf16) \(\w+\)$/m.test(stdout), stdout);
    assert(rows.includes("cuda"));
    assertEquals(rows.at(-1), "mpi");
    for (const line of stdout.split("\n").filter((line) => line.includes("not found;"))) {
      assertStringIncludes(line, "install ");
    }
  });

  await t.step("for programs", async () => {
    const { code, stdout } = await place.cloze(["doctor", "--json"]);
    assertEquals(code, 0);
    const { core } = JSON.parse(stdout);
    assertEquals(core.cuda.libraries.map(({ name }: { name: string }) => name), ["driver", "cublasLt", "nvrtc"]);
    assertEquals(core.cuda.problem === null, gpu);
    const { name, path, version, install } = core.cuda.nccl;
    assertEquals([name, path === null], ["nccl", version === null]);
    assertStringIncludes(install, "libnccl2");
  });

  await t.step("and looks into the wheels of the active environment", async () => {
    // A file that is no library is looked at and not taken; nothing breaks.
    const folder = `${place.path}/env/lib/python3.13/site-packages/nvidia/cu13/lib`;
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(`${folder}/libnvrtc.so.13`, "no library");
    const { code, stdout } = await place.cloze(["doctor", "--json"], { env: { VIRTUAL_ENV: `${place.path}/env` } });
    assertEquals(code, 0);
    assert(!stdout.includes(folder));
  });
});

testWithCore("--device without a GPU", async (t) => {
  if (gpu) return; // the tests of the core run there instead
  using place = await trainedPlace(20);
  const input = "The [MASK] sees the dog.\n";

  await t.step("cuda is an error that says what is missing and what to do", async () => {
    const { code, stdout, stderr } = await place.cloze(["predict", "--model", "model", "--device", "cuda"], { input });
    assertEquals([code, stdout], [1, ""]);
    assertStringIncludes(stderr, "error: there is no CUDA device: ");
    assertStringIncludes(stderr, "hint: ");
    assertStringIncludes(stderr, "--device cpu");
  });

  await t.step("auto runs on the CPU and says so", async () => {
    const [auto, cpu] = [
      await place.cloze(["predict", "--model", "model", "--device", "auto"], { input }),
      await place.cloze(["predict", "--model", "model"], { input }),
    ];
    assertEquals([auto.code, auto.stdout], [0, cpu.stdout]);
    assertStringIncludes(auto.stderr, "device: there is no GPU that can be used, so this runs on the CPU");
    assertEquals(cpu.stderr.includes("device:"), false);
  });

  await t.step("candle on cuda is refused", async () => {
    await buildCandle();
    const args = ["pretrain", "--steps", "1", "--device", "cuda", "--engine", "candle", "--output", "x"];
    const { code, stderr } = await place.cloze(args);
    assertEquals(code, 1);
    assertStringIncludes(stderr, "the candle engine runs on the CPU only");
  });
});
