/** Files of records → the text of each, or both of a pair. Used to read a corpus, and to answer records one by one. */

import type { CorpusConfig } from "../config/batch_config.ts";
import { ClozeError } from "../config/cloze_error.ts";
import { type ColumnsOf, kindOf, textOf } from "./columns.ts";
import { Lacking, type RecordOptions, type RecordSource } from "./record.ts";
import { readRecords } from "./records.ts";

/** The text of a record. */
export interface RecordText {
  /** Its lines end with line feeds; undefined if what is there is no text, or of a pair if one of the two is none. */
  text: string | undefined;
  /** The second one, where records are pairs. */
  pair?: string;
  /** Where it is: its line or row. For messages. */
  place: () => Promise<string>;
  /** What is wrong with a record without text, as the end of a sentence about it. */
  wrong?: string;
  /** The same with file and place. */
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
  columnsOf?: ColumnsOf,
): AsyncGenerator<RecordText[]> {
  const { file, format } = source, isJson = format === "json" || format === "jsonl";
  const { text_column, text_field = text_column } = config;
  const column = isJson ? text_field : text_column;
  let asked: string[] | undefined;
  const columns = (names: readonly string[]): string[] => {
    if (asked !== undefined && isJson) return asked; // a table is asked again with each way to cut its first line
    const { text = column, pair } = columnsOf?.(names) ?? {};
    return asked = pair === undefined ? [text] : [text, pair];
  };
  const others = format === "json" ? "; --exclude leaves out what is no corpus" : "";
  const hint = columnsOf === undefined
    ? `--text-column names the column or field of the text, by number in a table without names${others}`
    : "--text-column and --pair-column name the columns or fields of a pair, by number in a table without names";
  for await (const records of readRecords(source, { config, report, columns, hint, mayLack: true })) {
    yield records.map(({ values, place }) => {
      const texts = values.map((value) => withLineFeeds(textOf(value))), at = texts.indexOf(undefined);
      const wrong = at < 0 ? undefined : whatIsWrong(values[at], asked![at]);
      return {
        text: wrong === undefined ? texts[0] : undefined,
        ...(texts[1] === undefined ? {} : { pair: texts[1] }),
        ...(wrong === undefined ? {} : { wrong }),
        place,
        problem: async () => new ClozeError("input", `${file}: ${await place()} ${wrong}`, { hint }),
      };
    });
  }
}

function whatIsWrong(value: unknown, column: string): string {
  return value instanceof Lacking ? value.what : `has ${kindOf(value)} in ${JSON.stringify(column)}, not a text`;
}

function withLineFeeds(text: string | undefined): string | undefined {
  return text?.includes("\r") ? text.replace(/\r\n?/g, "\n") : text;
}
