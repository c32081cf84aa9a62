/** What training asks of the file system beside `config/whole_file.ts`: hashes and folders. */

import { createHash } from "node:crypto";
import { ioError } from "../config/cloze_error.ts";
import { regularFile } from "../config/regular_file.ts";
import { folderOf, syncFolder, writeWhole } from "../config/whole_file.ts";

export { syncFolder, writeWhole };

/** SHA-256 of a text, in hexadecimal. */
export function textHash(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** SHA-256 of a file, in hexadecimal. */
export async function fileHash(path: string): Promise<string> {
  await regularFile(path);
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
