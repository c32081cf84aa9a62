/** Lines of standard input or of a file, as they come, each with its number and what is wrong with it. */

import { ClozeError } from "../config/cloze_error.ts";

/** Longer lines than this are not read as one. */
const LONGEST_LINE = 1 << 20;

/** A line with its number from 1, or why it cannot be used. */
export interface Line {
  number: number;
  text: string;
  problem?: ClozeError;
}

/** Groups of the lines that are there at once: one when someone types, many when a file is piped in. */
export async function* lines(stream: { read(bytes: Uint8Array): Promise<number | null> }): AsyncGenerator<Line[]> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const buffer = new Uint8Array(1 << 16);
  let pending: Uint8Array[] = [], length = 0, number = 0;
  const finish = (last: Uint8Array): Line => {
    const parts = [...pending, last];
    const tooLong = length + last.length > LONGEST_LINE;
    [pending, length] = [[], 0];
    number++;
    if (tooLong) return problem(number, `it is longer than ${LONGEST_LINE} bytes`);
    const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    try {
      const text = decoder.decode(bytes).replace(/\r$/, "");
      return { number, text: number === 1 ? text.replace(/^\uFEFF/, "") : text };
    } catch {
      return problem(number, "it is not UTF-8 text", "convert it first, for example with: iconv -f CP949 -t UTF-8");
    }
  };
  for (;;) {
    const read = await stream.read(buffer);
    if (read === null) break;
    const group: Line[] = [];
    let from = 0;
    for (let end = buffer.indexOf(10); end >= 0 && end < read; end = buffer.indexOf(10, from)) {
      group.push(finish(buffer.slice(from, end)));
      from = end + 1;
    }
    if (from < read) {
      length += read - from;
      // Of a line that is too long only its length is kept.
      if (length > LONGEST_LINE) pending = [];
      else pending.push(buffer.slice(from, read));
    }
    if (group.length > 0) yield group;
  }
  if (length > 0) yield [finish(new Uint8Array())];
}

function problem(number: number, message: string, hint?: string): Line {
  return { number, text: "", problem: new ClozeError("input", message, { hint }) };
}
