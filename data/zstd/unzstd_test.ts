import { assert, assertEquals, assertRejects } from "@std/assert";
import { Buffer } from "node:buffer";
import { constants, zstdCompressSync } from "node:zlib";
import { unzstd } from "./unzstd.ts";

const encode = (text: string) => new TextEncoder().encode(text);

/** Random numbers, the same ones each time. */
function random(seed: number): (n: number) => number {
  let state = seed;
  return (n) => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % 65521 % n;
}

/** Contents of many kinds: text, noise, runs, and what came long before. */
function contents(): Record<string, Uint8Array> {
  const next = random(1);
  const words = Array.from(
    { length: 3000 },
    () => String.fromCharCode(...Array.from({ length: 2 + next(8) }, () => 97 + next(26))),
  );
  const text = encode(Array.from({ length: 60_000 }, () => words[Math.min(next(3000), next(3000))]).join(" "));
  const noise = Uint8Array.from({ length: 200_000 }, () => next(256));
  const few = Uint8Array.from({ length: 200_000 }, () => 65 + Math.min(next(4), next(4)));
  const join = (...parts: Uint8Array[]) => Buffer.concat(parts);
  return {
    empty: new Uint8Array(),
    one: encode("x"),
    short: encode("hello hello hello hello"),
    korean: encode("가나다라 마바사 아자차카 타파하. ".repeat(4000)),
    text,
    noise,
    few,
    zeros: new Uint8Array(500_000),
    far: join(noise, few, text.subarray(0, 100_000), noise, few, noise.subarray(1000)),
  };
}

const checksum = { [constants.ZSTD_c_checksumFlag]: 1 };

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk.slice());
  return Buffer.concat(parts);
}

function assertSame(actual: Uint8Array, expected: Uint8Array, message: string): void {
  assert(Buffer.compare(actual, expected) === 0, message);
}

/** Bytes in chunks of that size. */
async function* chunked(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const unpack = (bytes: Uint8Array, size = 1 << 16) => collect(unzstd(chunked(bytes, size)));

/** With a history that keeps little in memory, and the rest in a temporary file. */
const unpackFar = (bytes: Uint8Array, kept = 1 << 15) => collect(unzstd(chunked(bytes, 1 << 16), kept));

Deno.test("unzstd gives what was compressed, at every level and with long windows", async () => {
  for (const [name, content] of Object.entries(contents())) {
    for (const level of [-5, 1, 3, 7, 12, 19, 22]) {
      const params = { [constants.ZSTD_c_compressionLevel]: level, ...checksum };
      const packed = zstdCompressSync(content, { params });
      assertSame(await unpack(packed), content, `${name} at ${level}`);
      assertSame(await unpackFar(packed), content, `${name} at ${level}, a long window`);
    }
    const params = {
      ...checksum,
      [constants.ZSTD_c_windowLog]: 30,
      [constants.ZSTD_c_enableLongDistanceMatching]: 1,
      [constants.ZSTD_c_contentSizeFlag]: 0,
    };
    const packed = zstdCompressSync(content, { params });
    assertSame(await unpackFar(packed), content, `${name} with long distances`);
    assertSame(await unpack(packed), content, `${name} with long distances, by size`);
  }
});

Deno.test("unzstd reads many frames, skippable ones, and chunks that end anywhere", async () => {
  const skippable = Uint8Array.of(0x53, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3);
  const { text, korean } = contents();
  const one = zstdCompressSync(text, { params: checksum }), two = zstdCompressSync(korean);
  const empty = zstdCompressSync(new Uint8Array());
  const file = Buffer.concat([skippable, one, empty, skippable, two, skippable]);
  const expected = Buffer.concat([text, korean]);
  for (const size of [1, 7, 1000, 1 << 20]) assertSame(await unpack(file, size), expected, `chunks of ${size}`);
  const lines = Array.from({ length: 300 }, (_, i) => encode(`line ${i}\n`));
  const many = Buffer.concat(lines.map((line) => zstdCompressSync(line)));
  assertSame(await unpack(many), Buffer.concat(lines), "many frames");
  assertEquals((await unpack(skippable)).length, 0);
});

Deno.test("unzstd refuses files that are cut off anywhere, damaged, or have something behind them", async () => {
  const { text, short } = contents();
  for (const content of [text, short]) {
    const packed = zstdCompressSync(content, { params: checksum });
    const ends = content === short
      ? [...packed.keys()].slice(1)
      : [1, 4, 5, 9, 1000, packed.length - 5, packed.length - 1];
    for (const end of ends) await assertRejects(() => unpack(packed.subarray(0, end)), Error, "it ends too early");
    const wrong = new Uint8Array(packed);
    wrong[wrong.length - 1] ^= 1;
    await assertRejects(() => unpack(wrong), Error, "checksum");
    await assertRejects(() => unpackFar(wrong), Error, "checksum");
    await assertRejects(() => unpack(new Uint8Array([...packed, 10, 10, 10, 10])), Error, "behind its last frame");
    await assertRejects(() => unpack(new Uint8Array([...packed, 10])), Error, "it ends too early");
  }
  await assertRejects(() => unpack(encode("plain text")), Error, "does not begin with a frame");
});

Deno.test("unzstd ends with an error, and soon, whatever a frame holds", async () => {
  const next = random(7);
  const { far, korean } = contents();
  let refused = 0;
  for (const content of [far.subarray(0, 300_000), korean]) {
    const packed = zstdCompressSync(content, { params: { ...checksum, [constants.ZSTD_c_compressionLevel]: 19 } });
    for (let i = 0; i < 150; i++) {
      const damaged = new Uint8Array(packed);
      for (let hits = 1 + next(3); hits > 0; hits--) damaged[6 + next(damaged.length - 6)] ^= 1 << next(8);
      await unpackFar(damaged).then(() => {}, (error) => {
        refused++;
        assert(
          error instanceof Error && !(error instanceof TypeError || error instanceof RangeError),
          `${error.stack}`,
        );
      });
    }
  }
  assert(refused >= 290, `${refused} of 300`); // bits that mean nothing may be hit
});

Deno.test("unzstd takes windows of 2 GiB, and memory only for what there is", async () => {
  // A frame of one raw block, and one of 200 that each repeat a byte 128 KiB times; neither says how long it is.
  const frame = (...blocks: number[][]) => Uint8Array.of(0x28, 0xB5, 0x2F, 0xFD, 0, 21 << 3, ...blocks.flat());
  const block = (type: number, size: number, isLast: boolean) => {
    const head = size << 3 | type << 1 | (isLast ? 1 : 0);
    return [head & 255, head >> 8 & 255, head >> 16];
  };
  assertEquals(new TextDecoder().decode(await unpack(frame([...block(0, 5, true), ...encode("hello")]))), "hello");
  const bomb = frame(...Array.from({ length: 200 }, (_, i) => [...block(1, 1 << 17, i === 199), 10]));
  let length = 0;
  for await (const chunk of unzstd(chunked(bomb, 1 << 16))) {
    assert(chunk.length <= 1 << 17);
    length += chunk.length;
  }
  assertEquals(length, 200 << 17);
  const tooLarge = Uint8Array.of(0x28, 0xB5, 0x2F, 0xFD, 0, 22 << 3, ...block(0, 1, true), 65);
  await assertRejects(() => unpack(tooLarge), Error, "larger than any");
});
