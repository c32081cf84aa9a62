/**
 * Bytes of a whole file → blocks of text, for formats whose records do not end with a line. Checked as `lines.ts` checks
 * lines: byte order mark, NUL bytes, invalid UTF-8. Used by the readers of CSV, TSV and JSON.
 */

import { readBytes } from "./bytes.ts";
import type { CorpusConfig } from "../config/batch_config.ts";
import { invalidError, nulError } from "./lines.ts";

/** How text is read. */
export interface TextOptions {
  file: string;
  on_invalid: CorpusConfig["on_invalid"];
}

/**
 * The text of a file in blocks that end anywhere. Invalid bytes become lone surrogates, which no UTF-8 gives, so that a
 * reader can tell which record they belong to: `isWellFormed` finds them, `toWellFormed` makes U+FFFD of them.
 *
 * @throws {ClozeError} `input` for NUL bytes, and for invalid UTF-8 under `fail`; `io`.
 */
export async function* readText({ file, on_invalid }: TextOptions): AsyncGenerator<string> {
  let at = 0; // bytes before the block
  let rest = new Uint8Array(); // the beginning of a character
  const decode = async (bytes: Uint8Array): Promise<string> => {
    let text = decoded(bytes);
    if (on_invalid === "fail" && !text.isWellFormed()) {
      const before = /^[^\uD800-\uDFFF]*/u.exec(text)![0];
      throw invalidError(file, 1 + await lineEnds(file, at) + countLineEnds(before));
    }
    if (at === 0 && text.startsWith("\uFEFF")) text = text.slice(1);
    at += bytes.length;
    return text;
  };
  for await (const chunk of readBytes(file)) {
    if (chunk.includes(0)) throw nulError(file, 1 + await lineEnds(file, at), at === 0 ? chunk : undefined);
    const bytes = rest.length === 0 ? chunk : concatenate(rest, chunk);
    const whole = bytes.length - unfinished(bytes);
    rest = bytes.slice(whole);
    if (whole > 0) yield await decode(bytes.subarray(0, whole));
  }
  if (rest.length > 0) yield await decode(rest);
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const lenient = new TextDecoder("utf-8", { ignoreBOM: true });

/** Bytes as text, with a lone surrogate for what is not UTF-8. */
export function decoded(bytes: Uint8Array): string {
  if (bytes.length === 0) return "";
  try {
    return strict.decode(bytes);
  } catch {
    return marked(bytes);
  }
}

function marked(bytes: Uint8Array): string {
  // U+FFFD that stands in the text is not one that the decoder puts there: the bytes are decoded around it.
  const parts: string[] = [];
  for (let from = 0; from <= bytes.length;) {
    const found = findReplacement(bytes, from);
    parts.push(lenient.decode(bytes.subarray(from, found)).replaceAll("\uFFFD", "\uDFFF"));
    from = found + 3;
  }
  return parts.join("\uFFFD");
}

/** Where U+FFFD, the bytes EF BF BD, stands next, or the end. Its first byte begins a character whatever comes before. */
function findReplacement(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(0xEF, from); at >= 0; at = bytes.indexOf(0xEF, at + 1)) {
    if (bytes[at + 1] === 0xBF && bytes[at + 2] === 0xBD) return at;
  }
  return bytes.length;
}

/** Bytes at the end that begin a character and do not finish it: 0 to 3. */
function unfinished(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back];
    if (byte < 0x80) return 0;
    if (byte >= 0xC0) return back < (byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2) ? back : 0;
  }
  return 0;
}

function concatenate(a: Uint8Array, b: Uint8Array): Uint8Array {
  const whole = new Uint8Array(a.length + b.length);
  whole.set(a);
  whole.set(b, a.length);
  return whole;
}

/** Line ends (LF, CR LF or CR) in the first bytes of a file. Reads it again, for messages alone. */
async function lineEnds(file: string, bytes: number): Promise<number> {
  let count = 0, left = bytes, before = 0;
  if (bytes === 0) return 0;
  for await (const chunk of readBytes(file)) {
    for (const byte of chunk.subarray(0, left)) {
      if (byte === 13 || (byte === 10 && before !== 13)) count++;
      before = byte;
    }
    if ((left -= chunk.length) <= 0) break;
  }
  return count;
}

/** Line ends (LF, CR LF or CR) in a text. */
export function countLineEnds(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count++;
  for (let at = text.indexOf("\r"); at >= 0; at = text.indexOf("\r", at + 1)) if (text[at + 1] !== "\n") count++;
  return count;
}
