/** SHA-256 of files, for the checksums of models and checkpoints. */

import { ioError } from "./cloze_error.ts";
import { readWhole, regularFile } from "./regular_file.ts";

/** Up to here a file is read whole: Web Crypto then hashes it on another thread, and needs no module to be loaded. */
const AT_ONCE = 1 << 24;

/**
 * SHA-256 of a file, in hexadecimal.
 *
 * @throws {ClozeError} `io`
 */
export async function fileHash(path: string): Promise<string> {
  const { size } = regularFile(path);
  if (size <= AT_ONCE) {
    const bytes = await readWhole(path, 2 * AT_ONCE);
    return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
  }
  const { createHash } = await import("node:crypto");
  const hash = createHash("sha256");
  const buffer = new Uint8Array(1 << 20);
  try {
    using file = await Deno.open(path);
    for (let read = await file.read(buffer); read !== null; read = await file.read(buffer)) {
      hash.update(buffer.subarray(0, read));
    }
  } catch (error) {
    throw ioError(error, "read", path);
  }
  return hash.digest("hex");
}
