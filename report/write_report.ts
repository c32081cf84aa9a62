/** Reads runs and writes their report, whole or not at all. Called by the report command and by the pretrain command. */

import { ClozeError, ioError } from "../config/cloze_error.ts";
import { writeWhole } from "../training/files.ts";
import { type AnyRecord, pageOf } from "./any_record.ts";
import { REPORT_MARK } from "./document.ts";

/** Bytes of a file in which the mark of a report stands, if it is one. */
const HEAD = 512;

/**
 * Writes the page of one record or several of a kind.
 *
 * @throws {ClozeError} `input` if a file that is no report stands there; `io` if it cannot be written.
 */
export async function writeReport(records: readonly AnyRecord[], path: string): Promise<void> {
  const head = await headOf(path);
  if (head !== undefined && !head.includes(REPORT_MARK)) {
    throw new ClozeError("input", `${path} exists and is not a report of cloze`, {
      hint: "give another file with --output",
    });
  }
  await writeWhole(path, pageOf(records, new Date()));
}

async function headOf(path: string): Promise<string | undefined> {
  try {
    using file = await Deno.open(path);
    const bytes = new Uint8Array(HEAD);
    return new TextDecoder().decode(bytes.subarray(0, await file.read(bytes) ?? 0));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw ioError(error, "read", path);
  }
}
