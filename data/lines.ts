/**
 * Bytes → blocks of whole lines, checked: byte order mark, NUL bytes, invalid UTF-8. Knows no format. Used by the readers
 * of text, JSONL, CSV and TSV.
 */

import type { CorpusConfig } from "../config/batch_config.ts";
import { ClozeError } from "../config/cloze_error.ts";

/** Longer lines are no sentences and no records. */
const LONGEST_LINE = 1 << 24;
const NEWLINE = 10;
const BYTE_ORDER_MARK = [0xEF, 0xBB, 0xBF];

/** What a line becomes that is left out, so that it does not look like a blank one: the character SUBSTITUTE. */
export const SKIPPED = "\x1A";

/** What {@linkcode readLines} needs to know. */
export interface LineOptions {
  /** For messages. */
  file: string;
  on_invalid: CorpusConfig["on_invalid"];
  /** Called for each line that is not valid UTF-8, unless that is an error. */
  onInvalid: () => void;
  /** Lines of the file before the first byte that is read: 0 at its beginning. Asked for only by messages. */
  linesBefore: () => Promise<number>;
  /** Whether the first byte is the beginning of the file, where a byte order mark may stand. */
  atStart: boolean;
}

/**
 * Blocks of whole lines in valid UTF-8, each good until the next one is asked for. The last line may lack its end.
 *
 * @throws {ClozeError} `input` for NUL bytes, lines that are too long or end with CR alone, and invalid UTF-8 under `fail`.
 */
export async function* readLines(chunks: AsyncIterable<Uint8Array>, options: LineOptions): AsyncGenerator<Uint8Array> {
  let pending: Uint8Array[] = [], length = 0, done = 0;
  let first = options.atStart;
  const { file } = options;
  const numberOf = async (line: number) => await options.linesBefore() + line;
  const finish = async (last: Uint8Array): Promise<Uint8Array> => {
    let bytes = pending.length === 0 ? last : concatenate([...pending, last], length + last.length);
    [pending, length] = [[], 0];
    if (first && BYTE_ORDER_MARK.every((byte, i) => bytes[i] === byte)) bytes = bytes.subarray(3);
    if (first && endsWithReturns(bytes)) {
      throw new ClozeError("input", `${file} has lines that end with CR alone, so that all of it would be one line`, {
        hint: "convert it first, for example with: tr '\\r' '\\n' < FILE > NEW",
      });
    }
    first = false;
    if (!isValid(bytes)) {
      const { repaired, invalid } = repair(bytes, options.on_invalid);
      if (options.on_invalid === "fail") throw invalidError(file, await numberOf(done + invalid[0]));
      for (const _ of invalid) options.onInvalid();
      bytes = repaired;
    }
    done += countLines(bytes);
    return bytes;
  };
  for await (const chunk of chunks) {
    if (chunk.includes(0)) {
      throw nulError(file, await numberOf(done + 1), first && length === 0 ? chunk : undefined);
    }
    const end = chunk.lastIndexOf(NEWLINE) + 1;
    if (end > 0) yield await finish(chunk.subarray(0, end));
    if (end === chunk.length) continue;
    pending.push(chunk.slice(end));
    length += chunk.length - end;
    if (length > LONGEST_LINE) {
      throw new ClozeError("input", `${file}: line ${await numberOf(done + 1)} is longer than ${LONGEST_LINE} bytes`, {
        hint: "put one sentence, or one record, on a line",
      });
    }
  }
  if (length > 0) yield await finish(new Uint8Array());
}

/** Whether there are lines as old Macs wrote them: several with CR between them, and no line feed. */
function endsWithReturns(bytes: Uint8Array): boolean {
  const at = bytes.includes(NEWLINE) ? -1 : bytes.indexOf(13);
  return at >= 0 && at < bytes.length - 1;
}

/** Of a file with a NUL byte. @param beginning its first bytes, if they hold it. */
export function nulError(file: string, line: number, beginning?: Uint8Array): ClozeError {
  const encoding = beginning === undefined ? undefined : wideEncoding(beginning);
  return new ClozeError("input", `${file} is not a text file: it has a NUL byte at or after line ${line}`, {
    hint: encoding === undefined
      ? "give text, or what holds text: .parquet, and .gz and .zst of a text"
      : `it looks like ${encoding} text: convert it first, for example with: iconv -f ${encoding} -t UTF-8`,
  });
}

/** The UTF-16 that a text without a byte order mark is in, if its spaces, line ends and other ASCII say so. */
function wideEncoding(bytes: Uint8Array): string | undefined {
  const length = Math.min(bytes.length, 1 << 12) & ~1;
  const isAscii = (byte: number) => byte >= 9 && byte < 127;
  let little = 0, big = 0;
  for (let i = 0; i < length; i += 2) {
    if (bytes[i + 1] === 0 && isAscii(bytes[i])) little++;
    else if (bytes[i] === 0 && isAscii(bytes[i + 1])) big++;
    else if (bytes[i] === 0 && bytes[i + 1] === 0) return undefined;
  }
  if (Math.max(little, big) < length / 40) return undefined; // one character of twenty
  if (little > 4 * big) return "UTF-16LE";
  return big > 4 * little ? "UTF-16BE" : undefined;
}

/** Of a file with a line that is not UTF-8. */
export function invalidError(file: string, line: number): ClozeError {
  return new ClozeError("input", `${file} is not UTF-8 text: line ${line} is invalid`, {
    hint: "convert it first, for example with: iconv -f CP949 -t UTF-8; or take it as it is: --on-invalid replace",
  });
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

/** The lines of a block as text, without their line feeds. */
export function textLines(block: Uint8Array): string[] {
  const lines = strict.decode(block).split("\n");
  if (lines[lines.length - 1] === "") lines.pop();
  return lines;
}

function isValid(bytes: Uint8Array): boolean {
  try {
    strict.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** The block with its invalid lines replaced or left out, and their numbers from 1. */
function repair(bytes: Uint8Array, on_invalid: LineOptions["on_invalid"]): { repaired: Uint8Array; invalid: number[] } {
  const parts: Uint8Array[] = [], invalid: number[] = [];
  let number = 0, length = 0;
  for (let from = 0; from < bytes.length;) {
    const found = bytes.indexOf(NEWLINE, from);
    const to = found < 0 ? bytes.length : found + 1;
    let line = bytes.subarray(from, to);
    from = to;
    number++;
    if (!isValid(line)) {
      invalid.push(number);
      line = encoder.encode(on_invalid === "skip" ? `${SKIPPED}\n` : lenient.decode(line));
    }
    parts.push(line);
    length += line.length;
  }
  return { repaired: concatenate(parts, length), invalid };
}

/** Line feeds in the bytes. */
export function countLines(bytes: Uint8Array): number {
  let lines = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at)) {
    const first = at;
    do at++; while (bytes[at] === NEWLINE); // blank lines are counted without a search for each
    lines += at - first;
  }
  return lines;
}

function concatenate(parts: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
