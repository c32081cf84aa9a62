/** Files that are whole or not there: written under a temporary name, flushed, renamed. */

import { createHash } from "node:crypto";
import { ioError } from "../config/cloze_error.ts";
import type { Engine } from "../ffi/mod.ts";

/** Writes text so that a crash leaves either the old file or the new one. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const temporary = `${path}.tmp`;
  try {
    const file = await Deno.open(temporary, { write: true, create: true, truncate: true });
    try {
      const bytes = new TextEncoder().encode(text);
      for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
      await file.sync();
    } finally {
      file.close();
    }
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw ioError(error, "write", path);
  }
}

/** Flushes a folder's entries, where the system can do that. */
export async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await Deno.open(path);
    try {
      await folder.sync();
    } finally {
      folder.close();
    }
  } catch {
    // Windows opens no folders; its renames are journaled.
  }
}

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
  await Deno.mkdir(path, { recursive: true }).catch((error) => {
    throw ioError(error, "create the folder", path);
  });
}

/** Whether there is anything at that path. */
export async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).then(() => true, () => false);
}

/** Writes an engine's weights so that a crash leaves either the old file or the new one. */
export async function publishWeights(engine: Engine, path: string): Promise<void> {
  const temporary = `${path}.tmp`;
  await Deno.remove(temporary).catch(() => {}); // left by a crash
  try {
    await engine.save({ weights: temporary });
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw error;
  }
}
