import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ClozeError } from "../config/cloze_error.ts";
import { checkModelFiles, CHECKSUMS, readChecksums } from "../model/checksums.ts";
import type { Engine } from "../ffi/mod.ts";
import { checkpointSteps, newestCheckpoint, saveCheckpoint } from "./checkpoint.ts";
import { publishModel } from "../model/publish_model.ts";

const FILES = { "config.json": '{"hidden_size": 32}\n', "tokenizer.json": "{}\n" };

/** An engine as far as saving goes. */
const engineWith = (weights: string) =>
  ({
    // deno-lint-ignore require-await
    save: async (target: { weights?: string; training_state?: string }) => {
      for (const path of Object.values(target)) Deno.writeTextFileSync(path, weights, { createNew: true });
    },
  }) as unknown as Engine;

const at = (step: number) => ({
  step,
  position: { window: 0, batch: step },
  elapsed_ms: 5,
  tokens: 100 * step,
  done: false,
});

const save = (run: string, step: number, weights = `weights of ${step}`) =>
  saveCheckpoint(run, engineWith(weights), FILES, at(step));

async function withRun(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, text] of Object.entries(FILES)) Deno.writeTextFileSync(`${folder}/${name}`, text);
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const names = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();

/** The step that a run goes on from, and what is said. */
async function newest(run: string): Promise<[number, string]> {
  const told: string[] = [];
  const checkpoint = await newestCheckpoint(run, (line) => told.push(line));
  return [checkpoint?.state.step ?? -1, told.join("\n")];
}

Deno.test("newestCheckpoint passes over whatever is damaged in any byte, and says so", async () => {
  await withRun(async (run) => {
    await save(run, 2);
    await save(run, 4);
    assertEquals(await newest(run), [4, ""]);
    const folder = `${run}/checkpoints/step-4`;
    let tried = 0;
    for (const name of names(folder)) {
      const path = `${folder}/${name}`, good = Deno.readFileSync(path);
      for (let i = 0; i < good.length; i += 3) {
        const bad = good.slice();
        bad[i] ^= 1 << (i % 8);
        Deno.writeFileSync(path, bad);
        const [step, told] = await newest(run);
        if (step === 4) {
          // A space of training_state.json became another one, or its checksum lost its name.
          assert(name === "training_state.json", `byte ${i} of ${name}`);
          assert(told === "" || told.includes("has no checksum of its own"), told);
        } else {
          assertEquals(step, 2);
          assertStringIncludes(told, name);
          assertStringIncludes(told, "passed over");
          tried++;
        }
      }
      for (const length of [0, good.length - 1]) {
        Deno.writeFileSync(path, good.subarray(0, length));
        if (!(name === "training_state.json" && length > 0)) assertEquals((await newest(run))[0], 2);
      }
      Deno.removeSync(path);
      assertEquals((await newest(run))[0], 2, `without ${name}`);
      Deno.writeFileSync(path, good);
    }
    assert(tried > 300, `${tried} damages`);
    for (const step of [2, 4]) Deno.truncateSync(`${run}/checkpoints/step-${step}/model.safetensors`, 3);
    await assertRejects(() => newestCheckpoint(run), ClozeError, "no checkpoint");
  });
});

Deno.test("a state that lists no checksums, or is of another step, is refused", async () => {
  await withRun(async (run) => {
    await save(run, 2);
    await save(run, 4);
    const path = `${run}/checkpoints/step-4/training_state.json`;
    const { checksum: _, ...good } = JSON.parse(Deno.readTextFileSync(path));
    const changes = [
      { sha256: {} },
      { sha256: { ...good.sha256, "../../config.json": "00" } },
      { step: 3 },
      { position: null },
      { position: { window: -1, batch: 0 } },
      { tokens: "many" },
      { elapsed_ms: null },
    ];
    for (const change of changes) {
      Deno.writeTextFileSync(path, JSON.stringify({ ...good, ...change }));
      assertEquals((await newest(run))[0], 2, JSON.stringify(change));
    }
    Deno.writeTextFileSync(path, JSON.stringify(good)); // as version 0.1.0 wrote it
    const [step, told] = await newest(run);
    assertEquals(step, 4);
    assertStringIncludes(told, "has no checksum of its own");
  });
});

Deno.test("what is no checkpoint neither blocks a run nor counts nor is removed", async () => {
  await withRun(async (run) => {
    Deno.mkdirSync(`${run}/checkpoints/step-99999`, { recursive: true });
    Deno.mkdirSync(`${run}/checkpoints/step-007`);
    Deno.writeTextFileSync(`${run}/checkpoints/step-100`, "a file");
    Deno.writeTextFileSync(`${run}/checkpoints/notes.txt`, "mine");
    Deno.symlinkSync(run, `${run}/checkpoints/step-5`);
    assertEquals((await newest(run))[0], -1);
    for (const step of [1, 2, 3]) await save(run, step);
    assertEquals(await checkpointSteps(run), [99999, 3, 2]);
    const [step, told] = await newest(run);
    assertEquals(step, 3);
    assertStringIncludes(told, "step-99999");
    await save(run, 100);
    assertEquals(await newest(run).then(([step]) => step), 100);
    assertEquals(Deno.readTextFileSync(`${run}/checkpoints/step-100.damaged`), "a file");
    assertEquals(
      names(`${run}/checkpoints`),
      ["notes.txt", "step-007", "step-100", "step-100.damaged", "step-3", "step-5", "step-99999"],
    );
  });
});

Deno.test("a damaged checkpoint is put aside when its step is saved again, and one that is whole stays", async () => {
  await withRun(async (run) => {
    await save(run, 2);
    await save(run, 4);
    const path = `${run}/checkpoints/step-4/model.safetensors`;
    await save(run, 4, "is not looked at");
    assertEquals(Deno.readTextFileSync(path), "weights of 4");
    Deno.writeTextFileSync(path, "weights of 5");
    assertEquals((await newest(run))[0], 2);
    await save(run, 4);
    assertEquals(await newest(run), [4, ""]);
    assertEquals(Deno.readTextFileSync(`${run}/checkpoints/step-4.damaged/model.safetensors`), "weights of 5");
    Deno.writeTextFileSync(path, "weights of 6");
    // Saved on the way there: the damaged one neither counts nor goes.
    await save(run, 3);
    assertEquals(await checkpointSteps(run), [3, 2]);
    assertEquals(Deno.readTextFileSync(`${run}/checkpoints/step-4.damaged-2/model.safetensors`), "weights of 6");
    await save(run, 4);
    assertEquals(Deno.readTextFileSync(`${run}/model.safetensors`), "weights of 4");
  });
});

Deno.test("a run's weights are a copy of its newest checkpoint's, and at any instant fit their checksums", async () => {
  await withRun(async (run) => {
    await save(run, 2);
    const inode = (path: string) => Deno.statSync(path).ino;
    assert(inode(`${run}/model.safetensors`) !== inode(`${run}/checkpoints/step-2/model.safetensors`));
    await checkModelFiles(run);
    await checkModelFiles(`${run}/checkpoints/step-2`);
    // Stopped between the three steps of publishing: seen from outside, by a folder that cannot be renamed into.
    const before = Deno.readTextFileSync(`${run}/${CHECKSUMS}`);
    Deno.writeTextFileSync(`${run}/new`, "weights of 3");
    await publishModel(run, FILES, `${run}/new`);
    const after = Deno.readTextFileSync(`${run}/${CHECKSUMS}`);
    assert(before !== after);
    await checkModelFiles(run);
    Deno.removeSync(`${run}/model.safetensors`);
    Deno.mkdirSync(`${run}/model.safetensors`);
    Deno.writeTextFileSync(`${run}/new`, "weights of 4");
    await assertRejects(() => publishModel(run, FILES, `${run}/new`), ClozeError, "model.safetensors");
    const hashes = (await readChecksums(run))!.filter(([name]) => name === "model.safetensors");
    assertEquals(hashes.length, 2, "the old weights and the new ones");
    assert(after.includes(hashes[1][1]));
    assertEquals(names(run).filter((name) => name.endsWith(".tmp")), []);
  });
});
