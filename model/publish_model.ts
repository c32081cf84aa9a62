/**
 * Puts weights into a model folder at once, together with the checksums of the folder's files. At any instant what the
 * checksums say fits what is there: while the weights change, they list the old and the new.
 */

import { createHash } from "node:crypto";
import { ioError } from "../config/cloze_error.ts";
import { fileHash } from "../config/sha256.ts";
import { createFile, giveName, removeLeftovers, temporaryBeside, writeWhole } from "../config/whole_file.ts";
import type { Engine } from "../ffi/mod.ts";
import { type Checksum, CHECKSUMS, checksumsText, readChecksums } from "./checksums.ts";
import { WEIGHTS } from "./weights_files.ts";

/** SHA-256 of a text, in hexadecimal. */
export function textHash(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** Checksums of a model: of its texts by name, and of its weights. */
export async function modelChecksums(files: Record<string, string>, weights: string): Promise<Checksum[]> {
  const texts = Object.entries(files).map(([name, text]): Checksum => [name, textHash(text)]);
  return [...texts, [WEIGHTS, await fileHash(weights)]];
}

/**
 * Makes a folder's `model.safetensors` a copy of a file: one of the two stays whole if the other is damaged.
 *
 * @param files the folder's other files, by name, as they were written.
 * @throws {ClozeError} `io`
 */
export async function publishModel(folder: string, files: Record<string, string>, weights: string): Promise<void> {
  await replaceWeights(folder, files, async (temporary) => {
    createFile(temporary).close();
    await Deno.copyFile(weights, temporary); // shares its blocks, where the file system can do that
    using file = Deno.openSync(temporary, { write: true });
    file.syncSync();
  });
}

/** The same with an engine's weights. */
export async function publishWeights(folder: string, files: Record<string, string>, engine: Engine): Promise<void> {
  await replaceWeights(folder, files, (temporary) => engine.save({ weights: temporary }));
}

async function replaceWeights(
  folder: string,
  files: Record<string, string>,
  write: (temporary: string) => Promise<void>,
): Promise<void> {
  const path = `${folder}/${WEIGHTS}`;
  const temporary = temporaryBeside(path);
  await removeLeftovers(folder, WEIGHTS);
  try {
    await write(temporary);
    const checksums = await modelChecksums(files, temporary);
    const list = `${folder}/${CHECKSUMS}`;
    await writeWhole(list, checksumsText([...checksums, ...await weightsBefore(folder)]));
    giveName(temporary, path);
    await writeWhole(list, checksumsText(checksums));
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw ioError(error, "write", path);
  }
}

/** What the folder's weights may be before they are replaced. */
async function weightsBefore(folder: string): Promise<Checksum[]> {
  const before = await readChecksums(folder).catch(() => undefined); // damaged ones are written anew
  if (before !== undefined) return before.filter(([name]) => name === WEIGHTS);
  const path = `${folder}/${WEIGHTS}`;
  return await isThere(path) ? [[WEIGHTS, await fileHash(path)]] : [];
}

const isThere = (path: string) => Deno.lstat(path).then(() => true, () => false);
