/**
 * Labeled text for fine-tuning: .tsv, .csv and .jsonl files, also gzipped, whose records have a text and a label. They are
 * small next to a corpus and are read whole. Used by the finetune command.
 */

import { ClozeError, ioError, messageOf } from "../config/cloze_error.ts";

/** A record. */
export interface LabeledText {
  text: string;
  label: string;
}

/** Which columns (fields, in .jsonl) they are: by name, or by number from 1 in a file without names. */
export interface LabeledColumns {
  /** By default `text`, or in a file of two columns the one that is not the label. */
  text?: string;
  /** By default `label`. */
  label?: string;
}

/** A row of values with its line, from 1. */
interface Row {
  line: number;
  values: unknown[];
}

/**
 * All records of a file.
 *
 * @throws {ClozeError} `input`, naming file, line and column of what is wrong; `io`.
 */
export async function readLabeled(file: string, columns: LabeledColumns = {}): Promise<LabeledText[]> {
  const format = /\.(tsv|csv|jsonl|ndjson)(?:\.gz)?$/i.exec(file)?.[1].toLowerCase();
  if (format === undefined) {
    throw new ClozeError("input", `${file} is no kind of file that labels are read from`, {
      hint: "give a .tsv, .csv or .jsonl file (or one of these with .gz)",
    });
  }
  const text = await readText(file);
  const lines = format === "csv" ? [] : text.split("\n").map((line) => line.replace(/\r$/, ""));
  const { names, rows } = format === "csv"
    ? table(csvRows(text, file), columns)
    : format === "tsv"
    ? table(lines.flatMap((line, i) => line.trim() === "" ? [] : [{ line: i + 1, values: line.split("\t") }]), columns)
    : objects(lines, file);
  const [textAt, labelAt] = findColumns(names, columns, file);
  const records: LabeledText[] = [];
  for (const { line, values } of rows) {
    const cell = (at: number): string => {
      const value = values[at];
      if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return String(value);
      const found = value === undefined || value === null ? "is missing" : `is ${JSON.stringify(value).slice(0, 40)}`;
      throw new ClozeError("input", `${file}: line ${line}: ${names[at] ?? `column ${at + 1}`} ${found}`, {
        hint: format === "jsonl" ? undefined : `the file has ${names.length} columns; the line has ${values.length}`,
      });
    };
    const record = { text: cell(textAt), label: cell(labelAt).trim() };
    if (record.label === "") {
      throw new ClozeError("input", `${file}: line ${line}: the label is missing`, {
        hint: "every record needs a label; leave out those without one",
      });
    }
    records.push(record);
  }
  if (records.length === 0) throw new ClozeError("input", `${file} has no records in it`);
  return records;
}

async function readText(file: string): Promise<string> {
  let bytes: ArrayBuffer;
  try {
    const stream = (await Deno.open(file)).readable;
    const plain = /\.gz$/i.test(file) ? stream.pipeThrough(new DecompressionStream("gzip")) : stream;
    bytes = await new Response(plain).arrayBuffer();
  } catch (error) {
    if (error instanceof TypeError) {
      throw new ClozeError("input", `${file} is a broken gzip file: ${messageOf(error)}`, { cause: error });
    }
    throw ioError(error, "read", file);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new ClozeError("input", `${file} is not UTF-8 text`, {
      hint: "convert it first, for example with: iconv -f CP949 -t UTF-8",
      cause: error,
    });
  }
}

/** Numbered columns mean that the first row is a record already; otherwise it has the names. */
function table(rows: Row[], columns: LabeledColumns): { names: string[]; rows: Row[] } {
  const [first] = rows;
  if (first === undefined) return { names: [], rows };
  const numbered = [columns.text, columns.label].some((column) => column !== undefined && /^[1-9]\d*$/.test(column));
  if (numbered) return { names: first.values.map((_, i) => String(i + 1)), rows };
  return { names: first.values.map(String), rows: rows.slice(1) };
}

function objects(lines: string[], file: string): { names: string[]; rows: Row[] } {
  const names: string[] = [], rows: Row[] = [];
  lines.forEach((text, i) => {
    if (text.trim() === "") return;
    let record: unknown;
    try {
      record = JSON.parse(text);
    } catch (error) {
      throw new ClozeError("input", `${file}: line ${i + 1} is not JSON: ${messageOf(error)}`);
    }
    if (typeof record !== "object" || record === null || Array.isArray(record)) {
      throw new ClozeError("input", `${file}: line ${i + 1} is not a JSON object`);
    }
    const fields = record as Record<string, unknown>;
    for (const name of Object.keys(fields)) if (!names.includes(name)) names.push(name);
    rows.push({ line: i + 1, values: names.map((name) => Object.hasOwn(fields, name) ? fields[name] : undefined) });
  });
  return { names, rows };
}

function findColumns(names: string[], columns: LabeledColumns, file: string): [text: number, label: number] {
  const find = (name: string, flag: string) => {
    const at = names.indexOf(name);
    if (at >= 0) return at;
    const found = names.length === 0 ? "none" : names.map((name) => JSON.stringify(name)).join(", ");
    throw new ClozeError("input", `${file} has no column ${JSON.stringify(name)}; it has: ${found}`, {
      hint: `--${flag}-column names it, or gives its number from 1 where the file has no names`,
    });
  };
  const label = find(columns.label ?? "label", "label");
  const [other] = names.filter((_, i) => i !== label);
  const guess = names.includes("text") || names.length !== 2 ? "text" : other;
  return [find(columns.text ?? guess, "text"), label];
}

/** RFC 4180: a field in quotes may hold commas, line breaks, and quotes, which are doubled. */
function csvRows(text: string, file: string): Row[] {
  const rows: Row[] = [];
  let values: string[] = [], line = 1, began = 1;
  for (let at = 0; at < text.length;) {
    let value: string;
    if (text[at] === '"') {
      let end = at + 1;
      while (end < text.length && !(text[end] === '"' && text[end + 1] !== '"')) end += text[end] === '"' ? 2 : 1;
      if (end >= text.length) {
        throw new ClozeError("input", `${file}: line ${began} begins a record with a quote that is never closed`, {
          hint: 'in CSV a quote inside a field is doubled (""); a file without quoting is a .tsv file',
        });
      }
      value = text.slice(at + 1, end).replaceAll('""', '"');
      line += value.split("\n").length - 1;
      at = end + 1;
    } else value = "";
    const end = /[,\n]/g;
    end.lastIndex = at;
    const stop = end.exec(text)?.index ?? text.length;
    values.push((value + text.slice(at, stop)).replace(/\r$/, ""));
    if (text[stop] !== ",") {
      if (values.length > 1 || values[0].trim() !== "") rows.push({ line: began, values });
      began = ++line;
      values = [];
    }
    at = stop + 1;
  }
  // A last field that is empty, at the end of a file without a line break.
  if (values.length > 0) rows.push({ line: began, values: [...values, ""] });
  return rows;
}
