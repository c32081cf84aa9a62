/**
 * Files that are whole or not there: written under a name of their own, flushed to the disk, renamed. No link that stands
 * where one is written is followed. Used by every room that writes.
 *
 * What is left of a race: a folder whose owner swaps *it* for a link, between two calls, decides where a file goes. Deno has
 * no openat.
 */

import { ioError } from "./cloze_error.ts";

/** A name that no other process and no earlier run has taken: `.name.0a1b2c3d.tmp`, in the same folder. */
export function temporaryBeside(path: string): string {
  const at = path.lastIndexOf("/") + 1;
  const random = crypto.getRandomValues(new Uint32Array(1))[0].toString(16).padStart(8, "0");
  return `${path.slice(0, at)}.${path.slice(at)}.${random}.tmp`;
}

/** Whether a name is one that {@linkcode temporaryBeside} makes: what a crash may leave behind. */
export function isTemporary(name: string): boolean {
  return /^\..+\.[0-9a-f]{8}\.tmp$/.test(name);
}

/** Removes what crashes have left in a folder that no other process is writing to, or of one name only. */
export async function removeLeftovers(folder: string, of = ""): Promise<void> {
  const entries = await Array.fromAsync(Deno.readDir(folder)).catch(() => []);
  for (const { name } of entries) {
    if (!isTemporary(name) || !name.startsWith(`.${of}`)) continue;
    await Deno.remove(`${folder}/${name}`, { recursive: true }).catch(() => {});
  }
}

/** Creates a file, which must not be there, not even as a link. */
export function createFile(path: string): Deno.FsFile {
  return Deno.openSync(path, { read: true, write: true, createNew: true });
}

/** Writes all of the bytes where the file stands. */
export function writeAll(file: Deno.FsFile, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
}

/**
 * Gives a flushed file or folder its name, and makes the name last. A link of that name is replaced, not followed.
 *
 * @throws what the system says, for the caller to turn into a sentence.
 */
export function giveName(temporary: string, path: string): void {
  Deno.renameSync(temporary, path);
  syncFolder(folderOf(path));
}

/** The folder that a path lies in. */
export function folderOf(path: string): string {
  const [, folder] = /^(.*?)[/\\]+[^/\\]*[/\\]*$/.exec(path) ?? [];
  return folder === undefined ? "." : folder || "/";
}

/**
 * Writes a file so that a crash leaves either the old one or the new one.
 *
 * @throws {ClozeError} `io`
 */
export async function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  await writeWith(path, (file) => writeAll(file, bytes));
}

/**
 * As {@linkcode writeWhole}, with what `fill` writes.
 *
 * @throws {ClozeError} `io`, or what `fill` throws.
 */
export async function writeWith(path: string, fill: (file: Deno.FsFile) => void | Promise<void>): Promise<void> {
  const temporary = temporaryBeside(path);
  try {
    {
      using file = createFile(temporary);
      await fill(file);
      file.syncSync(); // a full disk may say so only here
    }
    giveName(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw ioError(error, "write", path);
  }
}

/**
 * Flushes a folder's entries, where the system can do that: Windows opens no folders, and some network disks flush none.
 *
 * @throws what the system says if the disk refuses.
 */
export function syncFolder(path: string): void {
  if (Deno.build.os === "windows") return;
  let folder;
  try {
    folder = Deno.openSync(path);
  } catch (error) {
    // A folder may be written to by who may not read it; then nobody can flush it.
    if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) return;
    throw error;
  }
  try {
    folder.syncSync();
  } catch (error) {
    if (!/os error (22|38|45|95)\)/.test(String(error))) throw error; // EINVAL, ENOSYS, ENOTSUP
  } finally {
    folder.close();
  }
}

/** A file that lines are appended to, by its path, as long as it is the one that was written first. */
export class AppendedFile {
  readonly #path: string;
  readonly #identity: string;

  private constructor(path: string, identity: string) {
    this.#path = path;
    this.#identity = identity;
  }

  /**
   * Writes the file anew.
   *
   * @throws {ClozeError} `io`
   */
  static async create(path: string, content: string): Promise<AppendedFile> {
    await writeWhole(path, content);
    return new AppendedFile(path, identityOf(Deno.lstatSync(path)));
  }

  /** @throws {ClozeError} `io`, also if another file, or a link to one, stands in its place. */
  append(text: string): void {
    try {
      using file = Deno.openSync(this.#path, { write: true, append: true });
      if (identityOf(file.statSync()) !== this.#identity) {
        throw new Error("another file was put in its place while it was being written");
      }
      writeAll(file, new TextEncoder().encode(text));
    } catch (error) {
      throw ioError(error, "write", this.#path);
    }
  }
}

/** Which file it is; the same for all on systems that do not say. */
function identityOf({ dev, ino }: Deno.FileInfo): string {
  return `${dev}:${ino}`;
}
