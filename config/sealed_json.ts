/**
 * JSON that a person can read and that says when it was changed: its last field is a checksum of the others. Spaces and
 * line ends may differ. Used for what decides a run.
 */

import { createHash } from "node:crypto";
import { ClozeError, messageOf } from "./cloze_error.ts";
import { readWholeText } from "./regular_file.ts";

/** Most bytes of such a file: a run over hundreds of thousands of files has fewer. */
const LONGEST = 1 << 26;

/** The value as text, with its checksum as the last field. */
export function sealed(value: object): string {
  const { checksum: _, ...rest } = value as Record<string, unknown>;
  return JSON.stringify({ ...rest, checksum: checksumOf(rest) }, null, 2) + "\n";
}

/** SHA-256 of the value as JSON without spaces. */
function checksumOf(value: object): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}

/**
 * What {@linkcode sealed} was given; `isSealed` says whether the text has a checksum. Version 0.1.0 wrote none, and who
 * takes the line out vouches for the rest.
 *
 * @throws {ClozeError} `input` if it is no JSON object, or was changed.
 */
export function unsealed(text: string, path: string): { value: Record<string, unknown>; isSealed: boolean } {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new ClozeError("input", `${path} cannot be read: it is not JSON: ${messageOf(error)}`, {
      hint: "it is damaged or cut off",
    });
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new ClozeError("input", `${path} is not a JSON object`);
  }
  const { checksum, ...value } = parsed as Record<string, unknown>;
  if (checksum === undefined) return { value, isSealed: false };
  if (checksum === checksumOf(value)) return { value, isSealed: true };
  throw new ClozeError("input", `${path} is damaged or was edited: its content does not fit its checksum`, {
    hint: 'undo the change; or, to take what it says now, remove the field "checksum" from it',
  });
}

/**
 * The value of a file; see {@linkcode unsealed}.
 *
 * @throws {ClozeError} `io` or `input`, naming the file.
 */
export async function readSealed(path: string): Promise<{ value: Record<string, unknown>; isSealed: boolean }> {
  return unsealed(await readWholeText(path, LONGEST), path);
}
