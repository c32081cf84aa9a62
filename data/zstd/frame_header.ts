/** The header of a Zstandard frame (RFC 8878, section 3.1.1.1). */

import type { ByteQueue } from "./byte_queue.ts";

/** The first four bytes of a frame, as a number. */
export const ZSTD_MAGIC = 0xFD2FB528;

/** What a header says. */
export interface FrameHeader {
  /** How far back a match can reach, in bytes: the window, or all of the content if that is less. */
  reach: number;
  /** Bytes of the content, if it says so. */
  content: number | undefined;
  hasChecksum: boolean;
}

/** The largest window that zstd writes, --long=31. */
const LARGEST_WINDOW = 2 ** 31;

/** A frame that is whole, but can be decoded only with the dictionary that it was compressed with. */
export class NeedsDictionary extends Error {
  override readonly message = "it was compressed with a dictionary";
}

/**
 * Reads what follows the magic number.
 *
 * @throws {Error} for a frame that cannot be decoded without a dictionary, or is none.
 */
export async function readFrameHeader(input: ByteQueue): Promise<FrameHeader> {
  const [descriptor] = await input.take(1);
  if ((descriptor & 8) !== 0) throw new Error("a reserved bit of a frame is set");
  const isSingle = (descriptor & 32) !== 0;
  const [windowByte] = isSingle ? [0] : await input.take(1);
  const dictionary = await input.take([0, 1, 2, 4][descriptor & 3]);
  if (dictionary.some((byte) => byte !== 0)) throw new NeedsDictionary();
  const contentBytes = await input.take([isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6]);
  const content = contentBytes.length === 0
    ? undefined
    : contentBytes.reduceRight((sum, byte) => 256 * sum + byte, 0) + (contentBytes.length === 2 ? 256 : 0);
  const base = 2 ** (10 + (windowByte >> 3)), window = base + base / 8 * (windowByte & 7);
  const reach = isSingle ? content! : Math.min(window, content ?? Infinity);
  if (reach > LARGEST_WINDOW) throw new Error(`its window of ${reach} bytes is larger than any that zstd writes`);
  return { reach, content, hasChecksum: (descriptor & 4) !== 0 };
}
