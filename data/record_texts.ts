/** Files of records → the text of each. Used to read a corpus, and to answer records one by one. */

import type { CorpusConfig } from "../config/batch_config.ts";
import { ClozeError } from "../config/cloze_error.ts";
import { kindOf, textOf } from "./columns.ts";
import type { RecordOptions, RecordSource } from "./record.ts";
import { readRecords } from "./records.ts";

/** The text of a record. */
export interface RecordText {
  /** Its lines end with line feeds; undefined if what is there is no text. */
  text: string | undefined;
  /** Where it is: its line or row. For messages. */
  place: () => Promise<string>;
  /** What is wrong with a record without text. */
  problem: () => Promise<ClozeError>;
}

/**
 * The texts of a file of records, in blocks.
 *
 * @throws {ClozeError} `io`, or `input` naming file and line of what is no such record.
 */
export async function* recordTexts(
  source: RecordSource,
  config: CorpusConfig,
  report: RecordOptions["report"],
): AsyncGenerator<RecordText[]> {
  const { file, format } = source;
  const { text_column, text_field = text_column } = config;
  const column = format === "json" || format === "jsonl" ? text_field : text_column;
  const others = format === "json" ? "; --exclude leaves out what is no corpus" : "";
  const hint = `--text-column names the column or field of the text, by number in a table without names${others}`;
  const columns = () => [column];
  for await (const records of readRecords(source, { config, report, columns, hint })) {
    yield records.map(({ values, place }) => ({
      text: withLineFeeds(textOf(values[0])),
      place,
      problem: async () => {
        const what = `has ${kindOf(values[0])} in ${JSON.stringify(column)}, not a text`;
        return new ClozeError("input", `${file}: ${await place()} ${what}`, { hint });
      },
    }));
  }
}

function withLineFeeds(text: string | undefined): string | undefined {
  return text?.includes("\r") ? text.replace(/\r\n?/g, "\n") : text;
}
