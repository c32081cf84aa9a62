import { assert, assertEquals, assertRejects } from "@std/assert";
import { ClozeError } from "../config/cloze_error.ts";
import { Shard, ShardWriter } from "./shards.ts";

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function write(path: string, vocab_size: number): Promise<void> {
  const writer = await ShardWriter.create(path, vocab_size, "source");
  writer.add([[1, 2, 3], [], [4]]);
  writer.add([[]]);
  writer.add([[vocab_size - 1, 2, 2]]);
  await writer.finish();
}

Deno.test("a shard gives back what was written, in 16 and in 32 bits", async () => {
  await withFolder(async (folder) => {
    for (const vocab_size of [100, 70_000]) {
      const path = `${folder}/${vocab_size}.shard`;
      await write(path, vocab_size);
      using shard = await Shard.open(path);
      assertEquals(shard.header.dtype, vocab_size > 65_536 ? "u32" : "u16");
      assertEquals([...shard.sentenceLengths], [3, 1, 3]);
      assertEquals([...shard.documentLengths], [2, 1]);
      assertEquals([shard.counts[2], shard.counts[vocab_size - 1]], [3, 1]);
      const ids = shard.buffer(4);
      shard.read(3, ids);
      assertEquals([...ids], [4, vocab_size - 1, 2, 2]);
      assertEquals((await Shard.peek(path))?.source, "source");
    }
    assertEquals(await Shard.peek(`${folder}/none`), undefined);
  });
});

Deno.test("a shard that is cut off, changed or of another kind is refused at any byte", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/a.shard`;
    await write(path, 100);
    const good = await Deno.readFile(path);
    const refuse = async (bytes: Uint8Array, message: string) => {
      await Deno.writeFile(path, bytes);
      await assertRejects(() => Shard.open(path), ClozeError, message);
    };
    for (let length = 0; length < good.length; length += length < 4096 ? 512 : 1) {
      await refuse(good.subarray(0, length), "not a whole shard");
    }
    for (let i = 4096; i < good.length; i++) {
      const bad = good.slice();
      bad[i] ^= 0x40;
      await refuse(bad, "not a whole shard");
    }
    await refuse(new TextEncoder().encode("text".repeat(2000)), "does not begin with");
    const newer = good.slice();
    newer[8] = 9;
    await refuse(newer, "version is 9");
  });
});

Deno.test("a shard has its name only when it is complete", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/a.shard`;
    const writer = await ShardWriter.create(path, 100, "source");
    writer.add([[1, 2]]);
    assertEquals(await Shard.peek(path), undefined);
    await writer.finish();
    assert(await Shard.peek(path) !== undefined);
    assertEquals((await Array.fromAsync(Deno.readDir(folder))).map((entry) => entry.name), ["a.shard"]);
  });
});
