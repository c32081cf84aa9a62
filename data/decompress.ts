/** Bytes through one of the runtime's streams that decompress, with their errors, and closed however it ends. */

import { Readable, type Transform } from "node:stream";

/** What comes out. Stops reading where nobody asks for more. */
export async function* decompress(
  compressed: AsyncIterable<Uint8Array>,
  stream: Transform,
): AsyncGenerator<Uint8Array> {
  const source = Readable.from(compressed);
  source.on("error", (error: Error) => stream.destroy(error));
  try {
    yield* source.pipe(stream);
  } finally {
    source.destroy();
  }
}
