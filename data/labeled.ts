/**
 * Labeled text for fine-tuning: files whose records have a text and a label, of every format of records that a corpus may
 * have. They are small next to a corpus and are read whole. Used by the finetune command.
 */

import { CORPUS_DEFAULTS, type CorpusConfig } from "../config/batch_config.ts";
import { ClozeError } from "../config/cloze_error.ts";
import { columnIn, textOf } from "./columns.ts";
import { CorpusReport } from "./corpus_report.ts";
import { readRecords } from "./records.ts";
import { sourceKind } from "./sources.ts";

/** A record. */
export interface LabeledText {
  /** The text. */
  text: string;
  /** The second text of a pair. */
  pair?: string;
  /** The class as it stands in the file. */
  label: string;
  /** Where it is a list, several columns, or cut at separators: each as it stands there, with what is empty or there twice. */
  labels?: string[];
}

/** Which columns (fields, in .jsonl) they are: by name, or in a .csv or .tsv file without names by number from 1. */
export interface LabeledColumns {
  /** By default `text`, or in a file of two columns the one that is not the label. */
  text?: string;
  /** By default `label`; several with commas between them are a list. */
  label?: string;
  /** What stands between the labels of a record that may have several, or none. */
  separator?: string;
  /** Of the second text of a pair; without it, a record is one text. */
  pair?: string;
  /**
   * What a model's training files had, where nothing is said above: text and label if the file has such, the second text of
   * a pair in any case, because a model of pairs is not measured on single texts.
   */
  trained?: { text?: string | undefined; label?: string | undefined; pair?: string | undefined };
}

/**
 * All records of a file.
 *
 * @param report counts what was not valid UTF-8, and what was left out.
 * @throws {ClozeError} `input`, naming file, line and column of what is wrong; `io`.
 */
export async function readLabeled(
  file: string,
  columns: LabeledColumns = {},
  config: CorpusConfig = CORPUS_DEFAULTS,
  report: CorpusReport = new CorpusReport(),
): Promise<LabeledText[]> {
  const { format } = sourceKind(file, config.format);
  if (format === "text") {
    throw new ClozeError("input", `${file} is no kind of file that labels are read from`, {
      hint:
        "give a .tsv, .csv, .jsonl, .json or .parquet file, or say what it is: --format tsv; CoNLL files of tagged words are for --task token-classification",
    });
  }
  const records: LabeledText[] = [], second = columns.pair ?? columns.trained?.pair;
  const blocks = readRecords({ file, format, from: 0, to: Infinity }, {
    config,
    report,
    columns: (names) => chosen(names, columns),
    hint: second !== columns.pair
      ? `the model was fine-tuned on pairs, with the second text in ${second}: --pair-column says where it is here`
      : "--text-column, --pair-column and --label-column name them, or give their numbers from 1 where the file has no names",
  });
  for await (const block of blocks) {
    for (const { values, place } of block) {
      const texts = second === undefined ? 1 : 2, all = values.slice(0, -texts);
      const [first, other] = values.slice(-texts), [text, pair] = [textIn(first), textIn(other)];
      const given = all.length === 1 ? all[0] : all;
      const labels = listOf(given, columns.separator);
      const label = labels === undefined ? asText(given) : JSON.stringify(labels);
      const lacksPair = second !== undefined && pair === undefined;
      if (text === undefined || lacksPair || label === undefined || label.trim() === "") {
        const what = text === undefined
          ? `text is ${shown(first)}`
          : lacksPair
          ? `second text, ${second}, is ${shown(other)}`
          : `label is ${shown(given)}`;
        throw new ClozeError("input", `${file}: ${await place()}: the ${what}`, {
          hint: "every record needs a text and a label; leave out those without one",
        });
      }
      records.push({
        text,
        ...(pair === undefined ? {} : { pair }),
        label: label.trim(),
        ...(labels === undefined ? {} : { labels }),
      });
    }
  }
  if (records.length === 0) {
    throw new ClozeError("input", `${file} has no records in it`, {
      hint:
        "a table has the names of its columns in its first line and a record on each other one, a .jsonl file on every line",
    });
  }
  return records;
}

function chosen(names: readonly string[], { trained = {}, ...given }: LabeledColumns): string[] {
  const { text = columnIn(names, trained.text), label = columnIn(names, trained.label) ?? "label" } = given;
  const { pair = trained.pair } = given;
  const labels = names.includes(label) ? [label] : label.split(",");
  const others = names.filter((name) => !labels.includes(name) && name !== pair);
  const expected = labels.length + (pair === undefined ? 1 : 2);
  const guess = names.includes("text") || names.length !== expected || others.length !== 1 ? "text" : others[0];
  return [...labels, text ?? guess, ...(pair === undefined ? [] : [pair])];
}

/** What stands in a text's column. */
function textIn(value: unknown): string | undefined {
  return value === null || value === undefined ? undefined : textOf(value) ?? asText(value);
}

/** Several labels: a list, or a text that is cut. */
function listOf(value: unknown, separator: string | undefined): string[] | undefined {
  const isList = Array.isArray(value) || ArrayBuffer.isView(value);
  if (!isList && separator === undefined) return undefined;
  const found = isList ? Array.from(value as ArrayLike<unknown>, asText) : (asText(value) ?? "").split(separator!);
  if (found.includes(undefined)) return undefined;
  return found.map((label) => label!.trim());
}

/** Labels are numbers as well as texts, where the format knows the difference. */
function asText(value: unknown): string | undefined {
  return ["string", "number", "bigint", "boolean"].includes(typeof value) ? String(value) : undefined;
}

function shown(value: unknown): string {
  const isMissing = value === undefined || value === null || (typeof value === "string" && value.trim() === "");
  return isMissing ? "missing" : JSON.stringify(value).slice(0, 40);
}
