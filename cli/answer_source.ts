/** Where the lines and records come from that a command answers. Loads no reader of files: standard input needs none. */

import type { ClozeError } from "../config/cloze_error.ts";
import { grouped } from "../config/numbers.ts";
import type { TextValues } from "./corpus.ts";
import { lines } from "./lines.ts";

/** The flags that say which files are read, and how. */
export type SourceValues = TextValues & { exclude?: string[]; "pair-column"?: string };

/** A text, or of a record that is a pair both. */
export interface Texts {
  text: string;
  pair?: string;
}

/** A line or a record. */
export interface Entry extends Texts {
  /** Its line or row, for messages. */
  place: () => string | Promise<string>;
  problem?: ClozeError;
}

/** Where entries come from. */
export interface AnswerSource {
  /** For messages; standard input has none where it is all there is. */
  name: string | undefined;
  /** Whether it is a file that was asked for by its name. */
  isNamed?: boolean;
  /** Groups of those that are there at once. @throws {ClozeError} `io`, `input` if no more can be read. */
  entries: () => AsyncGenerator<Entry[]>;
  /** What was left out or replaced, in words, once all has been read. */
  findings: () => string[];
}

/** A source of lines. */
export function linesOf(
  name: string | undefined,
  open: () => AsyncIterable<Uint8Array>,
  values: SourceValues,
): AnswerSource {
  let invalid = 0;
  return {
    name,
    entries: async function* () {
      for await (const group of lines(open(), values["on-invalid"], () => invalid++)) {
        yield group.map(({ number, text, problem }) => ({
          text,
          place: () => `line ${number}`,
          ...(problem === undefined ? {} : { problem }),
        }));
      }
    },
    findings: () => invalid === 0 ? [] : [`${grouped(invalid)} not valid UTF-8`],
  };
}
