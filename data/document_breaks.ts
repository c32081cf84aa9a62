/**
 * Whether a file of plain text has blank lines between its documents, or a document on each line: decided by the whole
 * file, once. Used by `corpus.ts`, where a file is cut into units and read.
 */

import type { CorpusConfig } from "../config/batch_config.ts";
import { readBytes } from "./bytes.ts";

const NEWLINE = 10;

/** White space within a line, as far as it is a byte. */
export const isSpace = (byte: number): boolean => byte === 32 || (byte >= 9 && byte <= 13);

/** Finds out whether a blank line stands between lines with text, from one line after the other. */
export class BreakFinder {
  #text = false;
  #blank = false;
  found = false;

  line(hasText: boolean): void {
    if (hasText && this.#blank) this.found = true;
    this.#text ||= hasText;
    this.#blank = this.#text && !hasText;
  }
}

/**
 * Whether no blank line stands between lines with text. Reads up to the first one that does.
 *
 * @throws {ClozeError} `io`, or `input` for what is no text.
 */
export async function hasNoBreaks(file: string): Promise<boolean> {
  const finder = new BreakFinder();
  let hasText = false; // of the line in progress
  let isFirst = true;
  for await (const chunk of readBytes(file)) {
    // A byte order mark is no text.
    let at = isFirst && chunk[0] === 0xEF && chunk[1] === 0xBB && chunk[2] === 0xBF ? 3 : 0;
    isFirst = false;
    while (at < chunk.length) {
      while (!hasText && at < chunk.length) {
        const byte = chunk[at];
        if (!isSpace(byte)) {
          hasText = true;
          finder.line(true);
          if (finder.found) return false;
        } else {
          at++;
          if (byte === NEWLINE) finder.line(false);
        }
      }
      if (at === chunk.length) break;
      const end = chunk.indexOf(NEWLINE, at);
      if (end < 0) break;
      hasText = false;
      at = end + 1;
    }
  }
  return true;
}

/** What is known of files, by path, with the stamp that they had. */
const known = new Map<string, { stamp: string; perLine: boolean }>();

/** What tells a file from what it was before. */
export function stampOf({ size, mtime }: Deno.FileInfo): string {
  return `${size} ${mtime?.getTime() ?? 0}`;
}

/** Whether every line of a file is a document, if that is said or known. */
export function knownPerLine(file: string, stamp: string, documents: CorpusConfig["documents"]): boolean | undefined {
  if (documents !== undefined) return documents === "lines";
  const before = known.get(file);
  return before?.stamp === stamp ? before.perLine : undefined;
}

/** Keeps what has been found out. */
export function rememberPerLine(file: string, stamp: string, perLine: boolean): void {
  known.set(file, { stamp, perLine });
}
