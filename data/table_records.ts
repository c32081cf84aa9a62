/** CSV and TSV files → records: what stands between their fields, the names of their columns, rows of as many fields. */

import { ClozeError } from "../config/cloze_error.ts";
import { findColumns, joined, listOf } from "./columns.ts";
import { type CsvDialect, CsvParser, type CsvRow } from "./csv.ts";
import type { FileRecord, RecordOptions } from "./record.ts";
import { readText } from "./text_blocks.ts";

/** What may stand between fields. */
const DELIMITERS = [",", ";", "\t", "|"];

const NAMES: Record<string, string> = { ",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe", " ": "space" };

/**
 * The records of a CSV or TSV file, in blocks. Columns that are given by number mean that the first row is a record
 * already; otherwise it has the names.
 *
 * @throws {ClozeError} `io`; `input`, naming file and line, for rows of more or fewer fields than the first, unless they
 *   are to be skipped.
 */
export async function* readTable(
  file: string,
  format: "csv" | "tsv",
  options: RecordOptions,
): AsyncGenerator<FileRecord[]> {
  const text = readText({ file, on_invalid: options.config.on_invalid });
  try {
    const { value: first = "" } = await text.next();
    const dialect = await dialectOf(first as string, file, format, options);
    const table = new Table(file, dialect, options);
    for await (const block of rowsOf(first as string, text, new CsvParser(file, dialect))) {
      const records: FileRecord[] = [];
      try {
        for (const row of block) table.take(row, records);
      } catch (error) {
        yield records; // whoever answers them one by one has those before
        throw error;
      }
      yield records;
    }
  } finally {
    await text.return(undefined); // an error may come before its second block is asked for
  }
}

/** The rows of one file: the first says what the columns are. */
class Table {
  readonly #file: string;
  readonly #dialect: CsvDialect;
  readonly #options: RecordOptions;
  /** Of each value that is asked for. */
  #indices: number[][] | undefined;
  #width = 0;

  constructor(file: string, dialect: CsvDialect, options: RecordOptions) {
    this.#file = file;
    this.#dialect = dialect;
    this.#options = options;
  }

  /** Adds the record of a row, if it is one. */
  take({ fields, line }: CsvRow, records: FileRecord[]): void {
    const { config: { on_invalid }, report } = this.#options;
    // White space on a line of its own is no row, unless rows have one field.
    if (fields.length === 1 && this.#width !== 1 && fields[0].trim() === "") return;
    if (on_invalid !== "fail" && !fields.every((field) => field.isWellFormed())) {
      report.invalid++;
      if (on_invalid === "skip" && this.#indices !== undefined) return;
      fields = fields.map((field) => field.toWellFormed());
    }
    if (this.#indices === undefined) {
      this.#width = fields.length;
      const { indices, numbered } = indicesOf(fields, this.#options.columns);
      if (!Array.isArray(indices)) throw this.#noColumn(indices.missing, fields, numbered, indices.twice);
      this.#indices = indices;
      if (!numbered) return;
    }
    if (fields.length !== this.#width) {
      if (on_invalid === "skip") {
        report.malformed++;
        return;
      }
      throw this.#malformed(fields.length, line);
    }
    const values = this.#indices.map((parts) => joined(parts.map((i) => fields[i])));
    records.push({ values, place: () => Promise.resolve(`line ${line}`) });
  }

  #malformed(found: number, line: number): ClozeError {
    const { delimiter, quoting } = this.#dialect;
    const name = NAMES[delimiter] ?? JSON.stringify(delimiter);
    const what = `${this.#file}: line ${line} has ${found} ${found === 1 ? "field" : "fields"}; expected ` +
      `${this.#width}, as the first line has`;
    const quoted = quoting ? `a field with a ${name} in it stands in quotes` : `fields are separated by a ${name}`;
    return new ClozeError("input", what, {
      hint: `${quoted}; --delimiter changes what separates fields, --on-invalid skip leaves such lines out`,
    });
  }

  #noColumn(missing: string, fields: readonly string[], numbered: boolean, twice = false): ClozeError {
    const { hint } = this.#options;
    const name = JSON.stringify(missing);
    if (twice) {
      const what = `${this.#file} has more than one column ${name}`;
      return new ClozeError("input", what, { hint: "give each column of the first line a name of its own" });
    }
    const names = fields.map((name, i) => JSON.stringify(numbered ? String(i + 1) : name));
    const delimiter = this.#options.config.delimiter !== undefined && fields.length === 1
      ? `no ${NAMES[this.#dialect.delimiter] ?? JSON.stringify(this.#dialect.delimiter)} is in its first line: ` +
        "--delimiter says what separates fields"
      : hint;
    return new ClozeError("input", `${this.#file} has no column ${name}; it has: ${listOf(names)}`, {
      hint: delimiter,
    });
  }
}

/** Where the columns are that are asked for, or the name that is not there, or there twice. */
function indicesOf(
  fields: readonly string[],
  columns: RecordOptions["columns"],
): { indices: number[][] | { missing: string; twice?: boolean }; numbered: boolean } {
  const chosen = columns(fields);
  const numbered = chosen.some((name) => /^[1-9]\d*(,[1-9]\d*)*$/.test(name));
  const names = numbered ? fields.map((_, i) => String(i + 1)) : fields;
  const indices: number[][] = [];
  for (const name of chosen) {
    const found = findColumns(name, (part) => names.includes(part) ? names.indexOf(part) : undefined);
    if ("missing" in found) return { indices: found, numbered };
    const twice = found.parts.find((i) => names.lastIndexOf(names[i]) !== i);
    if (twice !== undefined) return { indices: { missing: names[twice], twice: true }, numbered };
    indices.push(found.parts);
  }
  return { indices, numbered };
}

/** The dialect of a file: as the flags say it, or found from its beginning. */
async function dialectOf(
  first: string,
  file: string,
  format: "csv" | "tsv",
  options: RecordOptions,
): Promise<CsvDialect> {
  const { delimiter = delimiterOf(first, file, format, options), quoting } = options.config;
  const dialect = { delimiter, quoting: quoting !== "none" };
  if (format === "tsv" && quoting === undefined && await quotesAreText(file, dialect, options)) {
    dialect.quoting = false;
    options.report.unquoted++;
  }
  return dialect;
}

async function* rowsOf(
  first: string,
  rest: AsyncIterable<string>,
  parser: CsvParser,
): AsyncGenerator<CsvRow[]> {
  yield parser.push(first);
  for await (const text of rest) yield parser.push(text);
  yield parser.finish();
}

/**
 * What stands between fields: a tab in a .tsv file whose first row has one; otherwise that of the four usual delimiters
 * in the first row which gives the columns asked for.
 *
 * @throws {ClozeError} `input` if it could be more than one.
 */
function delimiterOf(text: string, file: string, format: "csv" | "tsv", options: RecordOptions): string {
  const own = format === "csv" ? "," : "\t";
  const rows = DELIMITERS.map((delimiter) => ({ delimiter, fields: firstRow(text, file, delimiter) }))
    .filter(({ fields }) => fields.length > 1);
  if (rows.length === 0 || (own === "\t" && rows.some(({ delimiter }) => delimiter === own))) return own;
  if (rows.length === 1) return rows[0].delimiter;
  const read = rows.map((row) => ({ ...row, ...indicesOf(row.fields, options.columns) }));
  const fitting = read.filter(({ indices }) => Array.isArray(indices));
  if (fitting.length === 0) return rows.some(({ delimiter }) => delimiter === own) ? own : rows[0].delimiter;
  if (fitting.length === 1) return fitting[0].delimiter;
  const found = fitting.map(({ delimiter }) => NAMES[delimiter]);
  throw new ClozeError("input", `${file}: its first line could be separated by ${found.join(" or ")}`, {
    hint: `say which, for example with --delimiter ${found[0]}`,
  });
}

/** The first row of a text, however long the text is. */
function firstRow(text: string, file: string, delimiter: string): string[] {
  const parser = new CsvParser(file, { delimiter, quoting: true });
  for (let at = 0; at < text.length; at += 1 << 12) {
    const [row] = parser.push(text.slice(at, at + (1 << 12)));
    if (row !== undefined) return row.fields;
  }
  try {
    return parser.finish()[0]?.fields ?? [];
  } catch {
    return []; // a quote that does not close in the first block
  }
}

/**
 * Whether quotes are only text in a .tsv file: a quoted field would swallow whole rows, and there are quotes where a
 * writer that quotes leaves none, inside a field or with text behind the closing one. Reads the file once.
 */
async function quotesAreText(file: string, dialect: CsvDialect, options: RecordOptions): Promise<boolean> {
  const parser = new CsvParser(file, dialect);
  let isOpen = false;
  const seen = () => parser.stray !== undefined && (isOpen || parser.spanning !== undefined);
  try {
    for await (const text of readText({ file, on_invalid: options.config.on_invalid })) {
      parser.push(text);
      if (seen()) return true;
    }
    parser.finish();
  } catch (error) {
    if (!parser.open) throw error;
    isOpen = true;
  }
  return seen();
}
