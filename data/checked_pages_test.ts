import { assertEquals, assertThrows } from "@std/assert";
import { ClozeError } from "../config/cloze_error.ts";
import { CONTENT, fromPages, PAGE, PageReader, pagesFor, toPages } from "./checked_pages.ts";

const damaged = (why: string) => new ClozeError("input", why);

Deno.test("PageReader gives any part of what toPages took, and fromPages all of it", () => {
  const content = Uint8Array.from({ length: 3 * CONTENT + 100 }, (_, i) => i * 7 + (i >> 8));
  const pages = toPages(content);
  assertEquals([pages.length, pagesFor(content.length), pagesFor(CONTENT), pagesFor(0)], [4 * PAGE, 4, 1, 0]);
  assertEquals(fromPages(pages).subarray(0, content.length), content);
  const path = Deno.makeTempFileSync();
  try {
    Deno.writeFileSync(path, new Uint8Array([...new Uint8Array(100), ...pages]));
    using file = Deno.openSync(path);
    const reader = new PageReader(file, damaged);
    const ends = [0, 1, CONTENT - 1, CONTENT, CONTENT + 1, 2 * CONTENT, content.length];
    for (const from of ends) {
      for (const to of ends.filter((end) => end >= from)) {
        const out = new Uint8Array(to - from);
        reader.read(100, from, out);
        assertEquals(out, content.subarray(from, to), `${from} to ${to}`);
      }
    }
    assertThrows(() => reader.read(100, 4 * CONTENT, new Uint8Array(1)), ClozeError, "cut off");
  } finally {
    Deno.removeSync(path);
  }
});

Deno.test("PageReader notices every changed byte of a page that it reads, and a page in another's place", () => {
  const content = Uint8Array.from({ length: 2 * CONTENT }, (_, i) => i);
  const good = toPages(content);
  const path = Deno.makeTempFileSync();
  const refuse = (bytes: Uint8Array, from: number) => {
    Deno.writeFileSync(path, bytes);
    using file = Deno.openSync(path);
    assertThrows(() => new PageReader(file, damaged).read(0, from, new Uint8Array(1)), ClozeError, "checksum");
  };
  try {
    for (let i = 0; i < PAGE; i += 13) {
      const bad = good.slice();
      bad[PAGE + i] ^= 1 << (i % 8);
      refuse(bad, CONTENT);
    }
    const swapped = good.slice();
    swapped.set(good.subarray(0, PAGE), PAGE);
    refuse(swapped, CONTENT);
  } finally {
    Deno.removeSync(path);
  }
});
