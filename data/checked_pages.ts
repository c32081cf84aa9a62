/**
 * Content on disk in pages of 4 KiB, each with its own checksum, so that what is read at random is checked as it is read: a
 * disk gives no less than a page anyway. Specified in docs/shards.md. Knows no shard and no index.
 */

import { crc32 } from "node:zlib";
import type { ClozeError } from "../config/cloze_error.ts";

/** Bytes of a page on disk. */
export const PAGE = 4096;
/** Bytes of content in it; the last four are the checksum. */
export const CONTENT = PAGE - 4;

/** Pages that so many bytes of content take. */
export const pagesFor = (bytes: number): number => Math.ceil(bytes / CONTENT);

/** CRC-32 of a page's content, begun with the page's number: a page in another's place is noticed too. */
const checksum = (content: Uint8Array, number: number) => crc32(content, number);

/** Content as pages, of which the first has that number; the last one ends with zeros. */
export function toPages(content: Uint8Array, first = 0): Uint8Array<ArrayBuffer> {
  const count = pagesFor(content.length);
  const pages = new Uint8Array(count * PAGE), view = new DataView(pages.buffer);
  for (let p = 0; p < count; p++) {
    const page = pages.subarray(p * PAGE, p * PAGE + CONTENT);
    page.set(content.subarray(p * CONTENT, (p + 1) * CONTENT));
    view.setUint32(p * PAGE + CONTENT, checksum(page, first + p), true);
  }
  return pages;
}

/** The content of pages that have been checked otherwise. */
export function fromPages(pages: Uint8Array): Uint8Array<ArrayBuffer> {
  const count = pages.length / PAGE;
  const content = new Uint8Array(count * CONTENT);
  for (let p = 0; p < count; p++) content.set(pages.subarray(p * PAGE, p * PAGE + CONTENT), p * CONTENT);
  return content;
}

/** Reads content at any place, and checks every page that it comes from. */
export class PageReader {
  readonly #file: Deno.FsFile;
  readonly #damaged: (why: string) => ClozeError;
  #scratch = new Uint8Array(4 * PAGE);

  /** @param damaged what to throw of the file, for a reason */
  constructor(file: Deno.FsFile, damaged: (why: string) => ClozeError) {
    this.#file = file;
    this.#damaged = damaged;
  }

  /**
   * Fills `out` with content from byte `from` on.
   *
   * @param start where page 0 begins in the file
   * @throws {ClozeError} if a page is damaged, or the file is cut off.
   */
  read(start: number, from: number, out: Uint8Array): void {
    if (out.length === 0) return;
    const first = Math.floor(from / CONTENT), count = pagesFor(from + out.length) - first;
    const bytes = count * PAGE;
    if (this.#scratch.length < bytes) this.#scratch = new Uint8Array(2 * bytes);
    const pages = this.#scratch.subarray(0, bytes);
    this.#fill(start + first * PAGE, pages);
    for (let p = 0, done = 0; p < count; p++) {
      const at = p * PAGE, end = at + CONTENT;
      const stored = pages[end] | pages[end + 1] << 8 | pages[end + 2] << 16 | pages[end + 3] << 24;
      if (checksum(pages.subarray(at, end), first + p) !== stored >>> 0) {
        throw this.#damaged(`the checksum of the 4 KiB from byte ${start + (first + p) * PAGE} on is wrong`);
      }
      const skip = p === 0 ? from - first * CONTENT : 0;
      const part = pages.subarray(at + skip, Math.min(end, at + skip + out.length - done));
      out.set(part, done);
      done += part.length;
    }
  }

  #fill(offset: number, bytes: Uint8Array): void {
    this.#file.seekSync(offset, Deno.SeekMode.Start);
    for (let at = 0; at < bytes.length;) {
      const read = this.#file.readSync(bytes.subarray(at));
      if (read === null) throw this.#damaged("it is cut off");
      at += read;
    }
  }
}
