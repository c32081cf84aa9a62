/**
 * Zstandard (RFC 8878): compressed bytes → their content, in bounded memory whatever a file claims. The runtime's own
 * decoder is not used: it takes the end of a frame, or of a file that is cut off, for the end, does not always look at
 * checksums, and holds a window of 2 GiB in memory.
 */

import { BlockDecoder, LARGEST_BLOCK } from "./block.ts";
import { ByteQueue } from "./byte_queue.ts";
import { type FrameHeader, readFrameHeader, ZSTD_MAGIC } from "./frame_header.ts";
import { History } from "./history.ts";
import { PADDING } from "./reverse_bits.ts";
import { XxHash64 } from "./xxhash64.ts";

/**
 * The content of all frames; skippable ones are passed over. A chunk is valid until the next one is asked for.
 *
 * @param kept bytes of a window that stay in memory; by default the window, up to 128 MiB.
 * @throws {Error} saying what is wrong, for a file that is broken or cut off; {ClozeError} `io` if a temporary file is
 *   needed and cannot be used.
 */
export async function* unzstd(compressed: AsyncIterable<Uint8Array>, kept?: number): AsyncGenerator<Uint8Array> {
  const input = new ByteQueue(compressed);
  let history: History | undefined, blocks: BlockDecoder | undefined;
  try {
    for (let first = true; !await input.atEnd(); first = false) {
      const magic = await input.uint32();
      if (magic >>> 4 === 0x184D2A5) {
        await input.skip(await input.uint32());
        continue;
      }
      if (magic !== ZSTD_MAGIC) {
        throw new Error(first ? "it does not begin with a frame" : "there is something else behind its last frame");
      }
      const header = await readFrameHeader(input);
      if (history === undefined || blocks === undefined || !history.fits(header.reach)) {
        history?.[Symbol.dispose]();
        history = new History(header.reach, kept);
        blocks = new BlockDecoder(history);
      }
      history.clear();
      blocks.clear();
      yield* frame(input, header, history, blocks);
    }
  } finally {
    history?.[Symbol.dispose]();
  }
}

/** The content of a frame, block by block. */
async function* frame(
  input: ByteQueue,
  { content, hasChecksum }: FrameHeader,
  history: History,
  blocks: BlockDecoder,
): AsyncGenerator<Uint8Array> {
  const hash = new XxHash64();
  for (let isLast = false; !isLast;) {
    const head = await input.take(3);
    const value = head[0] | head[1] << 8 | head[2] << 16, size = value >> 3, type = value >> 1 & 3;
    isLast = (value & 1) === 1;
    if (size > LARGEST_BLOCK) throw new Error("a block is too long");
    history.reserve(LARGEST_BLOCK + PADDING);
    const begin = history.length;
    if (type === 2) blocks.decode(await input.take(size, PADDING));
    else if (type < 2) {
      if (type === 0) history.bytes.set(await input.take(size), begin);
      else history.bytes.fill((await input.take(1))[0], begin, begin + size);
      history.length += size;
    } else throw new Error("a block is of no known type");
    const bytes = history.bytes.subarray(begin, history.length);
    if (hasChecksum) hash.update(bytes);
    if (bytes.length > 0) yield bytes;
  }
  if (content !== undefined && history.position !== content) throw new Error("it has not as many bytes as it says");
  if (hasChecksum && await input.uint32() !== hash.low32()) throw new Error("its checksum is wrong");
}
