/** What training asks of the file system beside `config/whole_file.ts`: hashes, folders, weights in place. */

import { createHash } from "node:crypto";
import { ioError } from "../config/cloze_error.ts";
import { folderOf, giveName, syncFolder, temporaryBeside, writeWhole } from "../config/whole_file.ts";
import type { Engine } from "../ffi/mod.ts";

export { syncFolder, writeWhole };

/** SHA-256 of a file, in hexadecimal. */
export async function fileHash(path: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    for await (const bytes of (await Deno.open(path)).readable) hash.update(bytes);
  } catch (error) {
    throw ioError(error, "read", path);
  }
  return hash.digest("hex");
}

/** Creates a folder and those above it. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true });
    syncFolder(folderOf(path));
  } catch (error) {
    throw ioError(error, "create the folder", path);
  }
}

/** Whether there is anything at that path. */
export async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}

/** Writes an engine's weights so that a crash leaves either the old file or the new one. */
export async function publishWeights(engine: Engine, path: string): Promise<void> {
  const temporary = temporaryBeside(path);
  try {
    await engine.save({ weights: temporary });
    giveName(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw ioError(error, "write", path);
  }
}
