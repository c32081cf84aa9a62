/** SHA-256 of large files, on another thread and as fast as the processor does it. Used by `model/`. */

import { loadLibrary } from "./library.ts";
import { ERROR_LENGTH, throwIfFailed } from "./native_error.ts";

/**
 * SHA-256 of a regular file, in hexadecimal.
 *
 * @throws {ClozeError} `io` if it cannot be read; `engine` if the library cannot be loaded.
 */
export async function nativeFileHash(path: string): Promise<string> {
  const { cloze_file_sha256 } = loadLibrary().symbols;
  const name = new TextEncoder().encode(JSON.stringify(path));
  const hash = new Uint8Array(32), error = new Uint8Array(ERROR_LENGTH);
  throwIfFailed(await cloze_file_sha256(name, name.length, hash, hash.length, error, error.length), error);
  return hash.toHex();
}
