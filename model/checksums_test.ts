import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { createHash } from "node:crypto";
import { ClozeError } from "../config/cloze_error.ts";
import { checkModelFiles, type Checksum, CHECKSUMS, checksumsText, readChecksums } from "./checksums.ts";

const writeChecksums = (folder: string, checksums: Checksum[]) =>
  Deno.writeTextFileSync(`${folder}/${CHECKSUMS}`, checksumsText(checksums));

const sha256 = (text: string | Uint8Array) => createHash("sha256").update(text).digest("hex");

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("checkModelFiles takes what the checksums say, either of two, and folders without checksums", async () => {
  await withFolder(async (folder) => {
    Deno.writeTextFileSync(`${folder}/config.json`, "{}");
    const large = new Uint8Array(17 << 20).fill(7);
    Deno.writeFileSync(`${folder}/model.safetensors`, large);
    await checkModelFiles(folder);
    writeChecksums(folder, [
      ["config.json", sha256("{}")],
      ["model.safetensors", sha256("the one before")],
      ["model.safetensors", sha256(large)],
      ["tokenizer.json", sha256("{}")],
      ["vocab.txt", sha256("which is not needed")],
    ]);
    await assertRejects(
      () => checkModelFiles(folder),
      ClozeError,
      "tokenizer.json is damaged or was changed: it is not",
    );
    Deno.writeTextFileSync(`${folder}/tokenizer.json`, "{}");
    await checkModelFiles(folder);
    large[5] ^= 1;
    Deno.writeFileSync(`${folder}/model.safetensors`, large);
    const error = await assertRejects(() => checkModelFiles(folder), ClozeError, "model.safetensors is damaged");
    assertStringIncludes(error.hint ?? "", `delete ${folder}/${CHECKSUMS}`);
    await checkModelFiles(folder, ["config.json"]);
    Deno.writeTextFileSync(`${folder}/model.safetensors`, "the one before");
    await checkModelFiles(folder);
  });
});

Deno.test("every changed byte of the checksums is noticed", async () => {
  await withFolder(async (folder) => {
    Deno.writeTextFileSync(`${folder}/config.json`, "{}");
    Deno.writeTextFileSync(`${folder}/model.safetensors`, "weights");
    writeChecksums(folder, [["config.json", sha256("{}")], ["model.safetensors", sha256("weights")]]);
    assertEquals((await readChecksums(folder))?.map(([name]) => name), ["config.json", "model.safetensors"]);
    const path = `${folder}/${CHECKSUMS}`, good = Deno.readFileSync(path);
    for (let at = 0; at < good.length; at++) {
      const bad = good.slice();
      bad[at] ^= 1 << (at % 7);
      Deno.writeFileSync(path, bad);
      await assertRejects(() => checkModelFiles(folder), ClozeError, "is damaged", `byte ${at}`);
    }
    for (const length of [0, 1, 40, good.length - 1]) {
      Deno.writeFileSync(path, good.subarray(0, length));
      await assertRejects(() => checkModelFiles(folder), ClozeError, "is damaged");
    }
  });
});
