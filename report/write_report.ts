/** Reads runs and writes their report, whole or not at all. Called by the report command and by the pretrain command. */

import { writeWhole } from "../config/whole_file.ts";
import { ClozeError, ioError } from "../config/cloze_error.ts";
import { regularFile } from "../config/regular_file.ts";
import { exists } from "../config/folder.ts";
import { type AnyRecord, pageOf } from "./any_record.ts";
import { document, REPORT_MARK } from "./document.ts";

/** Bytes of a file in which the mark of a report stands, if it is one. */
const HEAD = 512;

/**
 * Writes the page of one record or several of a kind. An earlier report is replaced.
 *
 * @param force whether any other file is, too
 * @throws {ClozeError} `input` if a file that is no report stands there; `io` if it cannot be written.
 */
export async function writeReport(records: readonly AnyRecord[], path: string, force = false): Promise<void> {
  const head = force ? undefined : await headOf(path);
  if (head !== undefined && !head.includes(REPORT_MARK)) {
    throw new ClozeError("input", `${path} exists and is not a report of cloze`, {
      hint: "give another file with --output, or --force to replace it",
    });
  }
  await writeWhole(path, document(pageOf(records), new Date()));
}

async function headOf(path: string): Promise<string | undefined> {
  if (!await exists(path)) return undefined;
  regularFile(path);
  try {
    using file = await Deno.open(path);
    const bytes = new Uint8Array(HEAD);
    return new TextDecoder().decode(bytes.subarray(0, await file.read(bytes) ?? 0));
  } catch (error) {
    throw ioError(error, "read", path);
  }
}
