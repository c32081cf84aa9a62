/**
 * Text → rows of fields, in the dialect that Python's csv module and pandas read (`excel`, and `excel-tab` for tabs): a
 * quote counts only where a field begins, and is doubled inside; what follows the closing quote is taken as it stands;
 * LF, CR LF and CR end rows; an empty line is no row. Unlike there, a quote that is never closed is an error. Knows no
 * columns. Used by `table_records.ts`.
 */

import { ClozeError } from "../config/cloze_error.ts";
import { countLineEnds } from "./text_blocks.ts";

/** A row. */
export interface CsvRow {
  fields: string[];
  /** Where it began, from 1. */
  line: number;
}

/** Characters of a row, so that a stray quote does not take the rest of a file for one field. */
export const LONGEST_RECORD = 1 << 24;

/** Fields of a row: a field takes more memory than its text. */
const MOST_FIELDS = 1 << 20;

/** How a file is written. */
export interface CsvDialect {
  /** One character. */
  delimiter: string;
  /** Whether a quote at the beginning of a field opens it; otherwise quotes are text. */
  quoting: boolean;
}

/**
 * Where the parser is in a row: at the beginning of a field; in a field, where quotes are text; between quotes; after a
 * quote between quotes, which is the closing one or the first of two.
 */
type Place = "field" | "plain" | "quoted" | "quote";

const QUOTE = 34, LF = 10, CR = 13;

/** Parses a text that comes in blocks. */
export class CsvParser {
  readonly #file: string;
  readonly #delimiter: string;
  readonly #code: number;
  readonly #quoting: boolean;
  #at: Place = "field";
  #fields: string[] = [];
  /** Pieces of the field in progress. */
  #pieces: string[] = [];
  /** Characters of the row in progress. */
  #length = 0;
  #line = 1;
  #began = 1;
  #fieldBegan = 1;
  /** Whether the last block ended with a CR, whose LF may follow. */
  #afterReturn = false;
  /** Whether the quoted field in progress has more than one line, and a delimiter. */
  #spansLines = false;
  #spansFields = false;
  /** Line of the first quote inside a field that begins without one, or with text behind its closing quote. */
  stray: number | undefined;
  /** Line where the first quoted field begins that holds both line ends and delimiters. */
  spanning: number | undefined;

  /** @param file for messages. */
  constructor(file: string, { delimiter, quoting }: CsvDialect) {
    this.#file = file;
    this.#delimiter = delimiter;
    this.#code = delimiter.charCodeAt(0);
    this.#quoting = quoting;
  }

  /**
   * The rows that end in the next block.
   *
   * @throws {ClozeError} `input` for a row that is longer than {@linkcode LONGEST_RECORD}.
   */
  push(text: string): CsvRow[] {
    const rows: CsvRow[] = [];
    let at = 0;
    if (this.#afterReturn && text.startsWith("\n")) { // the other half of a line end that was counted
      if (this.#at === "quoted") this.#line--;
      else at = 1;
    }
    if (text !== "") this.#afterReturn = text.endsWith("\r");
    // Lines without quotes, most of them, are cut at once.
    for (let quote = -1, cr = -1; at < text.length;) {
      if (this.#at === "field" && this.#fields.length === 0) {
        if (quote < at) quote = indexOr(text, '"', at);
        if (cr < at) cr = indexOr(text, "\r", at);
        const lf = indexOr(text, "\n", at);
        const end = Math.min(lf, cr);
        if (end < text.length && (quote > end || !this.#quoting)) {
          if (end > at) rows.push({ fields: text.slice(at, end).split(this.#delimiter), line: this.#line });
          this.#line++;
          at = end + (end === cr && lf === cr + 1 ? 2 : 1);
          continue;
        }
        this.#began = this.#line;
      }
      at = this.#step(text, at, rows);
    }
    return rows;
  }

  /** Whether a quote is open. */
  get open(): boolean {
    return this.#at === "quoted";
  }

  /** The last row, if it lacks its line end. @throws {ClozeError} `input` for a quote that is never closed. */
  finish(): CsvRow[] {
    if (this.#at === "quoted") throw this.#unclosed("is never closed");
    if (this.#at === "quote") this.#close();
    const rows: CsvRow[] = [];
    if (this.#at !== "field" || this.#fields.length > 0) this.#endRow(rows);
    return rows;
  }

  /** Reads a part of a field, or what ends it. */
  #step(text: string, at: number, rows: CsvRow[]): number {
    if (this.#at === "field") {
      this.#fieldBegan = this.#line;
      this.#spansLines = this.#spansFields = false;
      this.#at = "plain";
      if (this.#quoting && text.charCodeAt(at) === QUOTE) {
        this.#at = "quoted";
        this.#length++;
        return at + 1;
      }
    }
    if (this.#at === "quoted") return this.#quoted(text, at);
    if (this.#at === "quote") {
      if (text.charCodeAt(at) === QUOTE) {
        this.#pieces.push('"');
        this.#at = "quoted";
        return at + 1;
      }
      this.#close();
      if (!this.#isEnd(text.charCodeAt(at))) this.stray ??= this.#line;
    }
    return this.#plain(text, at, rows);
  }

  #close(): void {
    this.#at = "plain";
    if (this.#spansLines && this.#spansFields) this.spanning ??= this.#fieldBegan;
  }

  #quoted(text: string, at: number): number {
    const end = indexOr(text, '"', at);
    const piece = text.slice(at, end);
    const lines = countLineEnds(piece);
    this.#line += lines;
    this.#spansLines ||= lines > 0;
    this.#spansFields ||= piece.includes(this.#delimiter);
    this.#take(piece);
    if (this.#length > LONGEST_RECORD) {
      throw this.#unclosed(`is not closed within ${LONGEST_RECORD} characters`);
    }
    if (end === text.length) return end;
    this.#at = "quote";
    return end + 1;
  }

  #plain(text: string, from: number, rows: CsvRow[]): number {
    let at = from;
    while (at < text.length && !this.#isEnd(text.charCodeAt(at))) at++;
    const piece = text.slice(from, at);
    if (this.stray === undefined && piece.includes('"')) this.stray = this.#line;
    this.#take(piece);
    if (this.#length > LONGEST_RECORD) {
      throw new ClozeError(
        "input",
        `${this.#file}: line ${this.#began} begins a record of more than ${LONGEST_RECORD} characters`,
        { hint: "records of text are shorter: is it a table, and --delimiter what stands between its fields?" },
      );
    }
    if (at === text.length) return at;
    const code = text.charCodeAt(at);
    if (code === this.#code) {
      this.#endField();
      return at + 1;
    }
    this.#endRow(rows);
    this.#line++;
    return at + (code === CR && text.charCodeAt(at + 1) === LF ? 2 : 1);
  }

  #isEnd(code: number): boolean {
    return code === this.#code || code === LF || code === CR;
  }

  #take(piece: string): void {
    if (piece === "") return;
    this.#pieces.push(piece);
    this.#length += piece.length;
  }

  #endField(): void {
    if (this.#fields.length === MOST_FIELDS) {
      throw new ClozeError(
        "input",
        `${this.#file}: line ${this.#began} begins a row of more than ${MOST_FIELDS} fields`,
      );
    }
    this.#fields.push(this.#pieces.length === 1 ? this.#pieces[0] : this.#pieces.join(""));
    this.#pieces = [];
    this.#length++;
    this.#at = "field";
  }

  #endRow(rows: CsvRow[]): void {
    this.#endField();
    rows.push({ fields: this.#fields, line: this.#began });
    this.#fields = [];
    this.#length = 0;
  }

  #unclosed(what: string): ClozeError {
    return new ClozeError("input", `${this.#file}: line ${this.#fieldBegan} begins a field with a quote that ${what}`, {
      hint: 'a quote inside a quoted field is doubled (""); where quotes are only text: --quoting none',
    });
  }
}

function indexOr(text: string, what: string, from: number): number {
  const at = text.indexOf(what, from);
  return at < 0 ? text.length : at;
}
