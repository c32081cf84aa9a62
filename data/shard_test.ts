import { assert, assertEquals, assertThrows } from "@std/assert";
import { ClozeError } from "../config/cloze_error.ts";
import { Shard } from "./shard.ts";
import { endsDocument, sentenceLength } from "./shard_format.ts";
import { BlockWriter, ShardWriter } from "./shard_writer.ts";

async function withFolder(run: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function write(path: string, vocab_size: number): void {
  const writer = new ShardWriter(path, vocab_size, "source");
  writer.add([[1, 2, 3], [], [4]]);
  writer.add([[]]);
  writer.add([[vocab_size - 1, 2, 2]]);
  writer.finish();
}

/** Everything that a shard holds. */
function content(shard: Shard) {
  const sentences: [number, boolean][] = [];
  for (const block of shard.blocks()) {
    for (const sentence of block.sentences) sentences.push([sentenceLength(sentence), endsDocument(sentence)]);
  }
  const ids: number[] = [], starts: number[] = [];
  let at = 0;
  for (const [length] of sentences) {
    const buffer = shard.buffer(length), flags = new Uint8Array(length);
    shard.readIds(at, buffer);
    shard.readWordStarts(at, flags);
    ids.push(...buffer);
    starts.push(...flags);
    at += length;
  }
  return { sentences, ids, starts };
}

Deno.test("a shard gives back what was written, in 16 and in 32 bits", async () => {
  await withFolder((folder) => {
    for (const vocab_size of [100, 70_000]) {
      const path = `${folder}/${vocab_size}.shard`;
      write(path, vocab_size);
      using shard = Shard.open(path);
      const { dtype, tokens, sentences, documents, blocks } = shard.header;
      assertEquals({ dtype, tokens, sentences, documents, blocks }, {
        dtype: vocab_size > 65_536 ? "u32" : "u16",
        tokens: 7,
        sentences: 3,
        documents: 2,
        blocks: 1,
      });
      const found = content(shard);
      assertEquals(found.sentences, [[3, false], [1, true], [3, true]]);
      assertEquals(found.ids, [1, 2, 3, 4, vocab_size - 1, 2, 2]);
      assertEquals([shard.counts[2], shard.counts[vocab_size - 1]], [3, 1]);
      const ids = shard.buffer(4);
      shard.readIds(3, ids);
      assertEquals([...ids], [4, vocab_size - 1, 2, 2]);
      assertEquals(Shard.peek(path)?.source, "source");
    }
    assertEquals(Shard.peek(`${folder}/none`), undefined);
  });
});

Deno.test("a shard of many blocks, written in parts, equals what was put in; word starts keep their places", async () => {
  await withFolder((folder) => {
    const sentences: number[][] = [], starts: number[][] = [];
    const writer = new ShardWriter(`${folder}/a.shard`, 1000, "source");
    for (let part = 0; part < 3; part++) {
      const path = `${folder}/${part}.part`;
      const blocks = new BlockWriter(path, 1000);
      for (let d = 0; d < 12; d++) {
        // Blocks close at a million tokens: a part has two, of which one is longer than that.
        const length = d === 5 ? 1_200_000 : 1000 + d;
        const ids = Array.from({ length }, (_, i) => (i * 7 + d + part) % 1000);
        const begin = [0, 3, 17, length - 1];
        blocks.sentence(ids, begin);
        blocks.endDocument();
        sentences.push(ids);
        starts.push(begin);
      }
      blocks.flush();
      blocks.close();
      writer.append(path, blocks);
    }
    assertEquals(writer.finish().blocks, 6);
    using shard = Shard.open(`${folder}/a.shard`);
    assertEquals([...shard.blocks()].length, 6);
    let at = 0;
    sentences.forEach((ids, s) => {
      const found = shard.buffer(ids.length), flags = new Uint8Array(ids.length);
      shard.readIds(at, found);
      shard.readWordStarts(at, flags);
      assert(found.every((id, i) => id === ids[i]), `sentence ${s}`);
      assertEquals(Array.from(flags.keys()).filter((i) => flags[i] === 1), starts[s]);
      const tail = new Uint8Array(5);
      shard.readWordStarts(at + ids.length - 5, tail);
      assertEquals([...tail], [0, 0, 0, 0, 1]);
      const one = new Uint32Array(1);
      shard.readSentences(s, one);
      assertEquals([sentenceLength(one[0]), endsDocument(one[0])], [ids.length, true]);
      at += ids.length;
    });
  });
});

Deno.test("a shard that is cut off, changed or of another kind is refused at any byte", async () => {
  await withFolder((folder) => {
    const path = `${folder}/a.shard`;
    write(path, 100);
    const good = Deno.readFileSync(path);
    const refuse = (bytes: Uint8Array, message: string) => {
      Deno.writeFileSync(path, bytes);
      assertThrows(
        () => {
          using shard = Shard.open(path);
          for (const _ of shard.blocks());
        },
        ClozeError,
        message,
      );
    };
    for (let length = 0; length < good.length; length += length < 4096 ? 512 : 1) {
      refuse(good.subarray(0, length), "not a whole shard");
    }
    for (let i = 0; i < good.length; i += i < 4096 ? 7 : 1) {
      const bad = good.slice();
      bad[i] ^= 0x40;
      refuse(bad, i < 8 ? "does not begin with" : i < 12 ? "version is" : "not a whole shard");
    }
    refuse(new Uint8Array([...good, 0]), "not a whole shard");
    refuse(new TextEncoder().encode("text".repeat(2000)), "does not begin with");
  });
});

Deno.test("a shard has its name only when it is complete, and leaves nothing when it is given up", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/a.shard`;
    const writer = new ShardWriter(path, 100, "source");
    writer.add([[1, 2]]);
    assertEquals(Shard.peek(path), undefined);
    writer.finish();
    assert(Shard.peek(path) !== undefined);
    const other = new ShardWriter(`${folder}/b.shard`, 100, "source");
    other.add([[1, 2]]);
    other.discard();
    assertEquals((await Array.fromAsync(Deno.readDir(folder))).map((entry) => entry.name), ["a.shard"]);
  });
});
