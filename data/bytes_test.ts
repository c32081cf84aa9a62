import { assert, assertEquals, assertRejects } from "@std/assert";
import { Buffer } from "node:buffer";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { ClozeError } from "../config/cloze_error.ts";
import { readBytes } from "./bytes.ts";

const encode = (text: string) => new TextEncoder().encode(text);

/** Runs with a function that reads bytes as if they were in a file of that name. */
async function withReader(
  run: (read: (name: string, content: Uint8Array | string) => Promise<string>, folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await run(async (name, content) => {
      await Deno.writeFile(`${folder}/${name}`, typeof content === "string" ? encode(content) : content);
      const parts: Uint8Array[] = [];
      for await (const chunk of readBytes(`${folder}/${name}`)) parts.push(chunk.slice());
      return new TextDecoder().decode(Buffer.concat(parts));
    }, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("readBytes takes gzip files of several members, and refuses what is cut off, damaged or followed by more", async () => {
  await withReader(async (read) => {
    for (const size of [0, 1, 1000, 1 << 18, (1 << 18) + 1, 700_000]) {
      const text = Array.from({ length: size }, (_, i) => String.fromCharCode(97 + (i * i + (i >> 5)) % 26)).join("");
      const packed = gzipSync(text, { level: 1 });
      assertEquals(await read("a.gz", Buffer.concat([packed, packed])), text + text);
      const bad: Record<string, Uint8Array> = {
        "cut off": packed.subarray(0, -1),
        "cut in half": packed.subarray(0, packed.length >> 1),
        "cut in its second member": Buffer.concat([packed, packed.subarray(0, -3)]),
        "cut in its second header": Buffer.concat([packed, packed.subarray(0, 4)]),
        "followed by text": Buffer.concat([packed, encode("more text, as much as a header has")]),
        "damaged": Buffer.from(packed),
      };
      bad["damaged"][packed.length - 5] ^= 1; // of the checksum
      for (const [what, bytes] of Object.entries(bad)) {
        await assertRejects(() => read("a.gz", bytes), ClozeError, "is a broken gzip file", `${size} ${what}`);
      }
    }
  });
});

Deno.test("readBytes refuses a file that is not what its name says, and says what it looks like", async () => {
  const zip = Uint8Array.of(0x50, 0x4B, 3, 4, 20, 0, 0, 0);
  const tar = new Uint8Array(512);
  tar.set(encode("a.txt"));
  tar.set(encode("ustar"), 257);
  const cases: [name: string, content: Uint8Array | string, message: string][] = [
    ["a.txt", gzipSync("text"), "it looks like a gzip file"],
    ["b.txt", zstdCompressSync(encode("text")), "it looks like a zstd file"],
    ["c.jsonl", encode("BZh91AY&SY rest"), "it looks like a bzip2 file"],
    ["d.csv", Uint8Array.of(0xFD, 0x37, 0x7A, 0x58, 0x5A, 0), "it looks like an xz file"],
    ["e.txt", zip, "it looks like a zip archive"],
    ["f.tsv", encode("%PDF-1.7"), "it looks like a PDF"],
    ["g.txt", encode("PAR1...."), "it looks like a Parquet file"],
    ["h.txt", Uint8Array.of(0xFE, 0xFF, 0, 97), "it looks like UTF-16 text"],
    ["i.txt.gz", "plain text", "broken gzip file: it begins like plain text"],
    ["j.txt.zst", gzipSync("text"), "broken zstd file: it begins like a gzip file"],
    ["k.txt.gz", zstdCompressSync(encode("text")), "broken gzip file: it begins like a zstd file"],
    ["l.txt.gz", gzipSync(tar), "it looks like a tar archive"],
    ["m.txt.gz", gzipSync(gzipSync("text")), "it looks like a gzip file"],
    ["q.txt.zst", Uint8Array.of(0x28, 0xB5, 0x2F, 0xFD, 1, 0x58, 5, 1, 0, 0), "it was compressed with a dictionary"],
  ];
  await withReader(async (read) => {
    for (const [name, content, message] of cases) {
      const error = await assertRejects(() => read(name, content), ClozeError, message);
      assert(error.message.includes(name) && error.hint !== undefined, name);
    }
    assertEquals(await read("n.txt", "BZh is a name, GIF8 none, PK nothing"), "BZh is a name, GIF8 none, PK nothing");
    assertEquals(await read("o.parquet.gz", gzipSync("PAR1...")), "PAR1...");
    assertEquals(await read("p.txt.gz", ""), "", "an empty file is empty");
  });
});

Deno.test({
  name: `readBytes opens no named pipe, which would wait for ever${
    Deno.build.os === "windows" ? " (skipped: Windows)" : ""
  }`,
  ignore: Deno.build.os === "windows",
  fn: () =>
    withReader(async (_read, folder) => {
      await new Deno.Command("mkfifo", { args: [`${folder}/pipe.txt`] }).output();
      await assertRejects(() => readBytes(`${folder}/pipe.txt`).next(), ClozeError, "a FIFO");
    }),
});
