/** A record of a file, and how it is asked for. What reads a format of files, and what asks, both know these types. */

import type { CorpusConfig } from "../config/batch_config.ts";
import type { CorpusReport } from "./corpus_report.ts";
import type { Format } from "./sources.ts";

/** A file of records, or of JSON Lines a range of its bytes. */
export interface RecordSource {
  file: string;
  format: Exclude<Format, "text">;
  from: number;
  to: number;
}

/** How records are read. */
export interface RecordOptions {
  config: CorpusConfig;
  /** Counts what is not valid UTF-8, what is left out, and files whose quotes are text. */
  report: Pick<CorpusReport, "invalid" | "malformed" | "unquoted">;
  /**
   * The columns, or fields, that are asked for: by name, or in a CSV or TSV file without names by number from 1; several
   * with commas between them become lines of one text. Is told which there are, for JSON of each record.
   */
  columns: (names: readonly string[]) => readonly string[];
  /** Which flags say so, for messages. */
  hint: string;
  /**
   * Whether a JSON record may lack a field that the first one has: it then has a {@linkcode Lacking} there. Unless given, it
   * ends the reading, as it does where the first one lacks it: then the name is wrong.
   */
  mayLack?: boolean;
}

/** What a record has in place of a value that is not there. */
export class Lacking {
  /** The end of a sentence about the record. */
  readonly what: string;

  /** @param what such as `has no field "text"; it has: body` */
  constructor(what: string) {
    this.what = what;
  }
}

/** A record. */
export interface FileRecord {
  /** Values of the columns that were asked for: text in CSV and TSV, anything else where the format has types. */
  values: readonly unknown[];
  /** Where it is, for messages: its line or row, asked for only by these. */
  place: () => Promise<string>;
}
