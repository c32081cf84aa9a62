/** Values of a record that hold lone surrogates: text that is not UTF-8 in its file, or half a pair of escapes in JSON. */

import { ClozeError } from "../config/cloze_error.ts";
import type { FileRecord, RecordOptions } from "./record.ts";

/**
 * A record, repaired as the flags have it; none if it is to be left out.
 *
 * @param what it has that is wrong, for the message: `FILE: LINE WHAT`
 * @throws {ClozeError} `input` if that is an error.
 */
export async function soundRecord(
  record: FileRecord,
  file: string,
  what: string,
  { config: { on_invalid }, report }: RecordOptions,
): Promise<FileRecord | undefined> {
  const { values, place } = record;
  if (values.every(isWellFormed)) return record;
  if (on_invalid === "fail") {
    throw new ClozeError("input", `${file}: ${await place()} ${what}`, {
      hint: "repair it, or read what is invalid as U+FFFD: --on-invalid replace; or leave it out: --on-invalid skip",
    });
  }
  report.invalid++;
  return on_invalid === "skip" ? undefined : { values: values.map(toWellFormed), place };
}

/** Whether a text, or a list of texts, can be taken as it is. What is in lists of lists is no text. */
export function isWellFormed(value: unknown): boolean {
  if (typeof value === "string") return value.isWellFormed();
  return !Array.isArray(value) || value.every((item) => typeof item !== "string" || item.isWellFormed());
}

function toWellFormed(value: unknown): unknown {
  if (typeof value === "string") return value.toWellFormed();
  return Array.isArray(value) ? value.map((item) => typeof item === "string" ? item.toWellFormed() : item) : value;
}
