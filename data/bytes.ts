/**
 * A file's bytes, as a range of it or decompressed from its beginning. Refuses what begins like a file of another kind;
 * knows no format otherwise. Used by the readers.
 */

import { createGunzip } from "node:zlib";
import { ClozeError, ioError, messageOf } from "../config/cloze_error.ts";
import { regularFile } from "../config/regular_file.ts";
import { binaryStructure, refuseBinary } from "./known_structure.ts";
import { hasKnownEnding, sourceKind } from "./sources.ts";
import { decompress } from "./decompress.ts";
import { NeedsDictionary } from "./zstd/frame_header.ts";

const CHUNK = 1 << 18;

let read = 0;

/** Bytes of files that this thread has read so far, as they are on the disk: how far reading has come. */
export const bytesRead = (): number => read;

/** Counts bytes that a reader takes from a file itself. */
export function countRead(bytes: number): void {
  read += bytes;
}

/**
 * The bytes from `from` to `to` of a plain file, or all bytes of a decompressed one. A chunk is valid until the next one
 * is asked for.
 *
 * @throws {ClozeError} `io`, or `input` if a compressed file is broken or cut off, or if what comes is no text.
 */
export async function* readBytes(file: string, from = 0, to = Infinity): AsyncGenerator<Uint8Array> {
  const { format, compression } = sourceKind(file);
  let isFirst = from === 0;
  for await (const chunk of compression === "none" ? range(file, from, to) : decompressed(file, compression)) {
    // A compressed Parquet file is unpacked this way.
    if (isFirst && !(isParquet(chunk) && (format === "parquet" || !hasKnownEnding(file)))) refuseBinary(chunk, file);
    isFirst = false;
    yield chunk;
  }
}

const isParquet = (bytes: Uint8Array) => bytes.length > 3 && String.fromCharCode(...bytes.subarray(0, 4)) === "PAR1";

async function* decompressed(file: string, compression: "gzip" | "zstd"): AsyncGenerator<Uint8Array> {
  const compressed = range(file, 0, Infinity);
  try {
    const { value: first } = await compressed.next();
    if (first === undefined) return; // an empty file is empty, whatever it is called
    expectCompressed(first, file, compression);
    const all = async function* () {
      yield first.slice();
      for await (const chunk of compressed) yield chunk.slice();
    };
    // Also files of several members, as pigz and `cat` make them, which DecompressionStream does not read.
    if (compression === "gzip") yield* decompress(all(), createGunzip({ chunkSize: CHUNK }));
    else yield* (await import("./zstd/unzstd.ts")).unzstd(all());
  } catch (error) {
    if (error instanceof ClozeError) throw error;
    if (error instanceof NeedsDictionary) {
      throw new ClozeError("input", `${file} cannot be unpacked: ${error.message}`, {
        hint: "unpack it first: zstd -d -D DICTIONARY FILE",
      });
    }
    throw new ClozeError("input", `${file} is a broken ${compression} file: ${messageOf(error)}`, {
      hint: "it may be cut off: copy or download it again",
      cause: error,
    });
  } finally {
    await compressed.return(undefined);
  }
}

/** Refuses a file that its name calls compressed, and that does not begin so. */
function expectCompressed(beginning: Uint8Array, file: string, compression: "gzip" | "zstd"): void {
  const [a, b, c, d] = beginning;
  if (compression === "gzip" && a === 0x1F && b === 0x8B) return;
  const isFrame = a === 0x28 && b === 0xB5 && c === 0x2F && d === 0xFD;
  const isSkippable = a >= 0x50 && a <= 0x5F && b === 0x2A && c === 0x4D && d === 0x18;
  if (compression === "zstd" && (isFrame || isSkippable)) return;
  const looks = binaryStructure(beginning)?.what ?? (beginning.includes(0) ? "another kind of file" : "plain text");
  throw new ClozeError(
    "input",
    `${file} is a broken ${compression} file: it begins like ${looks}, whatever its name says`,
    {
      hint: "give it a name that ends as what it is, such as .txt, or copy or download it again",
    },
  );
}

async function* range(file: string, from: number, to: number): AsyncGenerator<Uint8Array> {
  regularFile(file); // opening a FIFO would wait
  try {
    using opened = await Deno.open(file);
    if (from > 0) await opened.seek(from, Deno.SeekMode.Start);
    const buffer = new Uint8Array(CHUNK);
    for (let left = to - from; left > 0;) {
      const count = await opened.read(buffer.subarray(0, Math.min(left, CHUNK)));
      if (count === null) return;
      left -= count;
      countRead(count);
      yield buffer.subarray(0, count);
    }
  } catch (error) {
    throw ioError(error, "read", file);
  }
}
