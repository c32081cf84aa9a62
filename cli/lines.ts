/** Lines of standard input or of a file, as they come, each with its number and what is wrong with it. */

import type { CorpusConfig } from "../config/batch_config.ts";
import { ClozeError, ioError } from "../config/cloze_error.ts";

/** Longer lines than this are not read as one. */
const LONGEST_LINE = 1 << 20;

/** A line with its number from 1, or why it cannot be used. */
export interface Line {
  number: number;
  text: string;
  problem?: ClozeError;
}

/**
 * The bytes of an open file or of standard input, as they come. A chunk is valid until the next one is asked for.
 *
 * @throws {ClozeError} `io` if `source` cannot be read.
 */
export async function* chunksOf(
  stream: { read(bytes: Uint8Array): Promise<number | null> },
  source = "standard input",
): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(1 << 16);
  for (;;) {
    const read = await stream.read(buffer).catch((error) => {
      throw ioError(error, "read", source);
    });
    if (read === null) return;
    yield buffer.subarray(0, read);
  }
}

/**
 * Groups of the lines that are there at once: one when someone types, many when a file is piped in.
 *
 * @param on_invalid what becomes of a line that is not UTF-8: under `fail` it has a problem.
 * @param onInvalid told of each that is replaced or skipped.
 */
export async function* lines(
  chunks: AsyncIterable<Uint8Array>,
  on_invalid: CorpusConfig["on_invalid"] = "fail",
  onInvalid: () => void = () => {},
): AsyncGenerator<Line[]> {
  const strict = new TextDecoder("utf-8", { fatal: true }), lenient = new TextDecoder();
  let pending: Uint8Array[] = [], length = 0, number = 0;
  const decode = (bytes: Uint8Array): string | undefined => {
    try {
      return strict.decode(bytes);
    } catch {
      if (on_invalid === "fail") return undefined;
      onInvalid();
      return on_invalid === "replace" ? lenient.decode(bytes) : "";
    }
  };
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
    const text = decode(bytes)?.replace(/\r$/, "");
    if (text !== undefined) return { number, text: number === 1 ? text.replace(/^\uFEFF/, "") : text };
    return problem(number, "it is not UTF-8 text", "convert it first, for example with: iconv -f CP949 -t UTF-8");
  };
  for await (const chunk of chunks) {
    const group: Line[] = [];
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      group.push(finish(chunk.slice(from, end)));
      from = end + 1;
    }
    if (from < chunk.length) {
      length += chunk.length - from;
      // Of a line that is too long only its length is kept.
      if (length > LONGEST_LINE) pending = [];
      else pending.push(chunk.slice(from));
    }
    if (group.length > 0) yield group;
  }
  if (length > 0) yield [finish(new Uint8Array())];
}

function problem(number: number, message: string, hint?: string): Line {
  return { number, text: "", problem: new ClozeError("input", message, { hint }) };
}
