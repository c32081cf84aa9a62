/** Folders: made so that they last, and whether something is there. */

import { ioError } from "./cloze_error.ts";
import { folderOf, syncFolder } from "./whole_file.ts";

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
