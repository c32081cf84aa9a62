/**
 * Bytes → lines of text, checked: byte order mark, line ends, invalid UTF-8. Knows no format. Used by the readers of
 * text, JSONL, CSV and TSV.
 */

import type { CorpusConfig } from "../config/batch_config.ts";
import { ClozeError } from "../config/cloze_error.ts";

/** Longer lines are no sentences and no records. */
const LONGEST_LINE = 1 << 24;
const NEWLINE = 10;

/** Stands for a line that was left out, so that it does not look like a blank one. No valid line is equal to it. */
export const SKIPPED = "\uD800";

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
 * Blocks of whole lines, without their line feeds; carriage returns are still there.
 *
 * @throws {ClozeError} `input` for NUL bytes, lines that are too long, and invalid UTF-8 under `fail`.
 */
export async function* readLines(chunks: AsyncIterable<Uint8Array>, options: LineOptions): AsyncGenerator<string[]> {
  let pending: Uint8Array[] = [], length = 0, done = 0;
  let first = options.atStart;
  const fail = async (line: number, what: string, hint?: string): Promise<never> => {
    const number = await options.linesBefore() + line;
    throw new ClozeError("input", `${options.file}${what.replace("{}", `line ${number}`)}`, { hint });
  };
  const finish = async (last: Uint8Array): Promise<string[]> => {
    const bytes = pending.length === 0 ? last : concatenate([...pending, last], length + last.length);
    [pending, length] = [[], 0];
    const { lines, invalid } = decodeLines(bytes, options.on_invalid);
    if (invalid.length > 0 && options.on_invalid === "fail") {
      await fail(
        done + invalid[0] + 1,
        " is not UTF-8 text: {} is invalid",
        "convert it first, for example with: iconv -f CP949 -t UTF-8; or take it as it is: --on-invalid replace",
      );
    }
    for (const _ of invalid) options.onInvalid();
    if (first && lines.length > 0) lines[0] = lines[0].replace(/^\uFEFF/, "");
    first = false;
    done += lines.length;
    return lines;
  };
  for await (const chunk of chunks) {
    if (chunk.includes(0)) {
      const isUtf16 = first && length === 0 && (chunk[0] ^ chunk[1]) === 1 && (chunk[0] & chunk[1]) === 0xFE;
      const hint = isUtf16 ? "it is UTF-16: convert it first, for example with: iconv -f UTF-16 -t UTF-8" : undefined;
      await fail(done + 1, " is not a text file: it has a NUL byte at or after {}", hint);
    }
    const end = chunk.lastIndexOf(NEWLINE) + 1;
    if (end > 0) yield await finish(chunk.subarray(0, end));
    if (end === chunk.length) continue;
    pending.push(chunk.slice(end));
    length += chunk.length - end;
    if (length > LONGEST_LINE) {
      const hint = "put one sentence, or one record, on a line";
      await fail(done + 1, `: {} is longer than ${LONGEST_LINE} bytes`, hint);
    }
  }
  if (length > 0) yield await finish(new Uint8Array());
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });

/** The lines, and which of them are not valid. */
function decodeLines(bytes: Uint8Array, on_invalid: CorpusConfig["on_invalid"]): { lines: string[]; invalid: number[] } {
  try {
    const lines = strict.decode(bytes).split("\n");
    if (lines[lines.length - 1] === "") lines.pop();
    return { lines, invalid: [] };
  } catch {
    return decodeOneByOne(bytes, on_invalid);
  }
}

function decodeOneByOne(bytes: Uint8Array, on_invalid: CorpusConfig["on_invalid"]): { lines: string[]; invalid: number[] } {
  const lines: string[] = [], invalid: number[] = [];
  for (let from = 0; from < bytes.length;) {
    const found = bytes.indexOf(NEWLINE, from);
    const line = bytes.subarray(from, found < 0 ? bytes.length : found);
    from += line.length + 1;
    try {
      lines.push(strict.decode(line));
    } catch {
      invalid.push(lines.length);
      lines.push(on_invalid === "skip" ? SKIPPED : lenient.decode(line));
    }
  }
  return { lines, invalid };
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
