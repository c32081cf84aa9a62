/**
 * The checksums of a model folder, so that a damaged byte gives an error and not other answers. They are in `SHA256SUMS`,
 * in the format of `sha256sum -c`; folders of other programs have none, and are taken as they are.
 */

import { ClozeError } from "../config/cloze_error.ts";
import { readWholeText } from "../config/regular_file.ts";

/** Name of the file. */
export const CHECKSUMS = "SHA256SUMS";
/** Files of a model folder that say how text becomes ids. */
export const TOKENIZER_FILES = [
  "tokenizer.json",
  "tokenizer_config.json",
  "vocab.txt",
  "vocab.json",
  "merges.txt",
  "added_tokens.json",
  "special_tokens_map.json",
] as const;
/** What a model is made of, as far as this program reads it. */
export const MODEL_FILES = ["config.json", ...TOKENIZER_FILES, "model.safetensors"] as const;

const LONGEST = 1 << 16;

/** A file's name with a hash that it may have. */
export type Checksum = readonly [name: string, sha256: string];

/** The content of the file; a name with two hashes may have either. */
export function checksumsText(checksums: readonly Checksum[]): string {
  return checksums.map(([name, sha256]) => `${sha256}  ${name}\n`).join("");
}

/**
 * The checksums of a folder, or `undefined` if it has none.
 *
 * @throws {ClozeError} `input` if the file is damaged.
 */
export async function readChecksums(folder: string): Promise<Checksum[] | undefined> {
  const path = `${folder}/${CHECKSUMS}`;
  if (!isThere(path)) return undefined;
  const text = await readWholeText(path, LONGEST);
  const lines = text.split("\n");
  if (lines.pop() !== "") throw damaged(path, "it is cut off", folder);
  return lines.map((line) => {
    const [, sha256, name] = /^([0-9a-f]{64}) [ *]([^/\\]+)$/.exec(line) ?? [];
    if (name === undefined) throw damaged(path, `${JSON.stringify(line)} is no checksum and name`, folder);
    return [name, sha256];
  });
}

/**
 * Checks those of a folder's files that a model is made of, if the folder has checksums.
 *
 * @param hashOf what hashes a file, where the core is there, which is faster.
 * @throws {ClozeError} `input` naming the file that is not what it was.
 */
export async function checkModelFiles(
  folder: string,
  names: readonly string[] = MODEL_FILES,
  hashOf: (path: string) => Promise<string> = hashed,
): Promise<void> {
  const checksums = await readChecksums(folder);
  if (checksums === undefined) return;
  await Promise.all([...new Set(names)].map(async (name) => {
    const path = `${folder}/${name}`;
    const listed = checksums.filter((checksum) => checksum[0] === name).map(([, sha256]) => sha256);
    if (!isThere(path)) {
      const isNeeded = listed.length > 0 &&
        !(/^(vocab|merges)\./.test(name) && isThere(`${folder}/tokenizer.json`));
      if (isNeeded) throw damaged(path, `it is not there, but ${CHECKSUMS} lists it`, folder);
      return;
    }
    if (listed.length === 0) throw damaged(path, `${CHECKSUMS} does not list it`, folder);
    if (!listed.includes(await hashOf(path))) {
      throw damaged(path, `its SHA-256 is not that in ${CHECKSUMS}`, folder);
    }
  }));
}

/** SHA-256 without the core. The path is made here: Deno would read a written-out one for `predict`, too. */
async function hashed(path: string): Promise<string> {
  const { fileHash }: typeof import("../config/sha256.ts") = await import(
    new URL("../config/sha256.ts", import.meta.url).href
  );
  return await fileHash(path);
}

function damaged(path: string, why: string, folder: string): ClozeError {
  return new ClozeError("input", `${path} is damaged or was changed: ${why}`, {
    hint:
      `copy it again, for example from a checkpoint of the run; if you changed it on purpose, delete ${folder}/${CHECKSUMS}`,
  });
}

function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}
