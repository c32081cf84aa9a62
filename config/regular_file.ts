/**
 * Files that others may have made: only regular ones are opened, because a FIFO waits for ever, a device has no end and a
 * socket cannot be read; and no more of one is read than what its kind can reasonably hold.
 */

import { ClozeError, ioError } from "./cloze_error.ts";

const MIB = 1 << 20;

/** Up to here a file is read at once: it is there sooner than a promise for it. */
const SMALL = MIB;

/** Most bytes of files that are read whole, by kind. */
export const LONGEST_FILE = {
  /** A `config.json` with a million labels is smaller. */
  config: 16 * MIB,
  /** A `tokenizer.json` of a million tokens with its merges is smaller. */
  tokenizer: 256 * MIB,
} as const;

/** What a path leads to, if that is no regular file; links are followed. */
export function kindOf(info: Deno.FileInfo): string | undefined {
  if (info.isFile) return undefined;
  if (info.isDirectory) return "a folder";
  if (info.isFifo) return "a FIFO (a named pipe)";
  if (info.isSocket) return "a socket";
  if (info.isCharDevice || info.isBlockDevice) return "a device";
  return "not a regular file";
}

/**
 * Looks at a file without opening it.
 *
 * @param doing what it is for, in the message: `could not DOING PATH`
 * @throws {ClozeError} `io` if it is not there or not a regular file; links are followed.
 */
export function regularFile(path: string, doing = "read"): Deno.FileInfo {
  let info: Deno.FileInfo;
  try {
    info = Deno.statSync(path);
  } catch (error) {
    throw ioError(error, doing, path);
  }
  const kind = kindOf(info);
  if (kind === undefined) return info;
  throw new ClozeError("io", `could not ${doing} ${path}: it is ${kind}, not a file`, {
    hint: "give the path of a regular file",
  });
}

/**
 * Reads a whole regular file.
 *
 * @param most bytes that it may have; a larger one is refused before it is read
 * @throws {ClozeError} `io` as {@linkcode regularFile}; `input` if it is longer.
 */
export async function readWhole(path: string, most: number, doing = "read"): Promise<Uint8Array<ArrayBuffer>> {
  const { size } = regularFile(path, doing);
  if (size > most) throw tooLong(path, size, most);
  try {
    using file = Deno.openSync(path);
    // A file of /proc says that it has 0 bytes, and any file may grow meanwhile: what is read counts.
    let bytes = new Uint8Array(size + 1), length = 0;
    for (;;) {
      const rest = bytes.subarray(length);
      const read = bytes.length > SMALL ? await file.read(rest) : file.readSync(rest);
      if (read === null) return bytes.subarray(0, length);
      length += read;
      if (length > most) throw tooLong(path, length, most);
      if (length < bytes.length) continue;
      const more = new Uint8Array(Math.min(2 * length + 4096, most + 1));
      more.set(bytes);
      bytes = more;
    }
  } catch (error) {
    throw ioError(error, doing, path);
  }
}

/** The same as text, or nothing where there is no such file. @throws {ClozeError} as {@linkcode readWholeText}. */
export async function readTextIfThere(path: string, most: number, doing = "read"): Promise<string | undefined> {
  try {
    return await readWholeText(path, most, doing);
  } catch (error) {
    if (error instanceof ClozeError && error.cause instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** The same as text. @throws {ClozeError} `input` also if it is not UTF-8. */
export async function readWholeText(path: string, most: number, doing = "read"): Promise<string> {
  const bytes = await readWhole(path, most, doing);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new ClozeError("input", `${path} is not UTF-8 text`, { hint: "it is damaged, or another kind of file" });
  }
}

function tooLong(path: string, size: number, most: number): ClozeError {
  const mib = (bytes: number) => `${(bytes / MIB).toFixed(bytes < 10 * MIB ? 1 : 0)} MiB`;
  return new ClozeError("input", `${path} has ${mib(size)}, but such a file has at most ${mib(most)}`, {
    hint: "it is damaged, or another kind of file",
  });
}
