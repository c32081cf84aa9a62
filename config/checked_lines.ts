/**
 * JSON objects, one a line, each with a checksum as its last field: a line that was changed is told from one that was not,
 * and whoever reads the lines with other tools has one more column.
 */

import { crc32 } from "node:zlib";

/** Of a line: CRC-32 (zlib's) of the line without this field, as eight hexadecimal digits. */
const FIELD = "crc32";
const SEALED = new RegExp(`^(.*),"${FIELD}":"([0-9a-f]{8})"\\}$`, "s");

/** The object as a line, with its line end. */
export function checkedLine(value: object): string {
  const json = JSON.stringify(value);
  return `${json.slice(0, -1)},"${FIELD}":"${checksumOf(json)}"}\n`;
}

function checksumOf(json: string): string {
  return crc32(json).toString(16).padStart(8, "0");
}

/** A line of a file. */
export interface CheckedLine {
  /** From 1. */
  number: number;
  text: string;
  /** Without the checksum; `undefined` if the line is damaged. */
  value: Record<string, unknown> | undefined;
}

/**
 * The lines of a file, in order. Either all lines have a checksum or, as in version 0.1.0, none: one without, among others
 * with one, is damaged. The last line may be cut off, as a crash leaves it; then it is left out.
 */
export function checkedLines(text: string): { lines: CheckedLine[]; isCutOff: boolean } {
  const texts = text.split("\n");
  const ending = texts.at(-1) === "" ? texts.pop() : undefined;
  const areSealed = texts.some((line) => SEALED.test(line));
  const lines = texts.map((text, i): CheckedLine => ({ number: i + 1, text, value: valueOf(text, areSealed) }));
  const isCutOff = ending === undefined && lines.at(-1)?.value === undefined && lines.length > 0;
  if (isCutOff) lines.pop();
  return { lines, isCutOff };
}

function valueOf(line: string, isSealed: boolean): Record<string, unknown> | undefined {
  const [, start, crc] = SEALED.exec(line) ?? [];
  if (isSealed && (start === undefined || checksumOf(`${start}}`) !== crc)) return undefined;
  try {
    const value = JSON.parse(isSealed ? `${start}}` : line);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
