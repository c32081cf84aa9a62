/** A file's bytes, as a range of it or decompressed from its beginning. Knows no format. Used by the readers. */

import { createGunzip } from "node:zlib";
import { Readable } from "node:stream";
import { ClozeError, ioError, messageOf } from "../config/cloze_error.ts";
import { sourceKind } from "./sources.ts";

const CHUNK = 1 << 18;

/**
 * The bytes from `from` to `to` of a plain file, or all bytes of a decompressed one. A chunk is valid until the next one
 * is asked for.
 *
 * @throws {ClozeError} `io`, or `input` if a compressed file is broken or cut off.
 */
export async function* readBytes(file: string, from = 0, to = Infinity): AsyncGenerator<Uint8Array> {
  const { compression } = sourceKind(file);
  if (compression === "none") return yield* range(file, from, to);
  try {
    yield* compression === "gzip" ? gunzip(file) : unzstd(file);
  } catch (error) {
    if (error instanceof ClozeError) throw error;
    throw new ClozeError("input", `${file} is a broken ${compression} file: ${messageOf(error)}`, {
      hint: "it may be cut off: copy or download it again",
      cause: error,
    });
  }
}

async function* range(file: string, from: number, to: number): AsyncGenerator<Uint8Array> {
  try {
    using opened = await Deno.open(file);
    if (from > 0) await opened.seek(from, Deno.SeekMode.Start);
    const buffer = new Uint8Array(CHUNK);
    for (let left = to - from; left > 0;) {
      const read = await opened.read(buffer.subarray(0, Math.min(left, CHUNK)));
      if (read === null) return;
      left -= read;
      yield buffer.subarray(0, read);
    }
  } catch (error) {
    throw ioError(error, "read", file);
  }
}

/** Also files of several members, as pigz and `cat` make them, which DecompressionStream does not read. */
async function* gunzip(file: string): AsyncGenerator<Uint8Array> {
  const source = Readable.from(copies(range(file, 0, Infinity)));
  const unzipped = createGunzip({ chunkSize: 1 << 18 });
  source.on("error", (error: Error) => unzipped.destroy(error));
  yield* source.pipe(unzipped);
}

async function* copies(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) yield chunk.slice();
}

/** Compressed bytes that are decompressed at once: what they become, a hundred times as much at most for text, has to fit. */
const ZSTD_CHUNK = 1 << 16;

/** fzstd and not node:zlib, which takes the end of the first frame, or of a file that is cut off, for the end. */
async function* unzstd(file: string): AsyncGenerator<Uint8Array> {
  const { Decompress } = await import("fzstd");
  const ready: Uint8Array[] = [];
  const decompress = new Decompress((chunk) => ready.push(chunk));
  for await (const chunk of range(file, 0, Infinity)) {
    for (let at = 0; at < chunk.length; at += ZSTD_CHUNK) {
      decompress.push(chunk.slice(at, at + ZSTD_CHUNK));
      yield* ready.splice(0);
    }
  }
  decompress.push(new Uint8Array(), true);
  yield* ready.splice(0);
}
