/**
 * Files → units of work → documents of sentences. A unit is a byte range of a plain text or JSONL file, or another file
 * as a whole; units do not depend on who reads them, so that workers can share them out. Streams: neither a file nor a
 * unit has to fit in memory. Knows no tokenizer. Used to count words and to write shards.
 */

import { CORPUS_DEFAULTS, type CorpusConfig } from "../config/batch_config.ts";
import { ClozeError, ioError } from "../config/cloze_error.ts";
import { readBytes } from "./bytes.ts";
import { kindOf, textOf } from "./columns.ts";
import { CorpusReport } from "./corpus_report.ts";
import { readLines, SKIPPED, textLines } from "./lines.ts";
import { type FileRecord, linesTo, readRecords } from "./records.ts";
import { type Format, sourceKind } from "./sources.ts";

/** A document: its sentences, one a line in the file. */
export type Document = string[];

/** What takes the text, document by document. */
export interface TextSink {
  /** A sentence of the document in progress: `bytes[from..to)`, valid UTF-8, during the call only. */
  sentence(bytes: Uint8Array, from: number, to: number): void;
  endDocument(): void;
}

/** A part of the corpus that is read on its own. Can be sent to a worker. */
export interface Unit {
  file: string;
  format: Format;
  /** Bytes of a plain file; 0 and Infinity for a whole one. */
  from: number;
  to: number;
  /** Of plain text: whether every line is a document, because the file has no blank lines between documents. */
  document_per_line: boolean;
}

/** Bytes of a unit, about. */
const UNIT = 1 << 22;
/** How much of a file decides whether it has blank lines between documents. */
const PROBE = 1 << 16;
/** Bytes of a document, about: a longer one is taken for several, so that memory stays bounded. */
const LONGEST_DOCUMENT = 1 << 20;
const NEWLINE = 10;

/**
 * The units of the files, in order.
 *
 * @throws {ClozeError} `io`, or `input` for what is no text.
 */
export async function planUnits(
  files: readonly string[],
  { format: otherwise }: Pick<CorpusConfig, "format"> = CORPUS_DEFAULTS,
  unitBytes = UNIT,
): Promise<Unit[]> {
  const units: Unit[] = [];
  for (const file of files) {
    const { format, compression } = sourceKind(file, otherwise);
    const { size } = await Deno.stat(file).catch((error) => {
      throw ioError(error, "read", file);
    });
    const document_per_line = format !== "text" || await hasNoBlankLines(file);
    if (compression !== "none" || (format !== "text" && format !== "jsonl") || size <= unitBytes) {
      units.push({ file, format, from: 0, to: Infinity, document_per_line });
      continue;
    }
    for (let from = 0; from < size;) {
      const to = from + unitBytes >= size ? size : await boundary(file, from + unitBytes, size, document_per_line);
      units.push({ file, format, from, to, document_per_line });
      from = to;
    }
  }
  return units;
}

/** Whether no blank line stands between the first lines with text. */
async function hasNoBlankLines(file: string): Promise<boolean> {
  let text = false, blank = false;
  const options = { file, on_invalid: "replace", onInvalid: () => {}, atStart: true } as const;
  for await (const block of readLines(beginning(file), { ...options, linesBefore: () => Promise.resolve(0) })) {
    for (const line of textLines(block)) {
      const isBlank = line.trim() === "";
      if (!isBlank && blank) return false;
      text ||= !isBlank;
      blank = text && isBlank;
    }
  }
  return true;
}

async function* beginning(file: string): AsyncGenerator<Uint8Array> {
  let left = PROBE;
  for await (const chunk of readBytes(file, 0, PROBE)) {
    yield chunk.subarray(0, left);
    if ((left -= chunk.length) <= 0) return;
  }
}

/** The first byte at or after `from` where a document can begin: after a line, or after a blank line. */
async function boundary(file: string, from: number, size: number, perLine: boolean): Promise<number> {
  let at = from - 1; // a line that ends just before `from` counts
  let blank = false; // only white space since the last line feed
  for (let chunkSize = 1 << 12, before = -1; before < at && at < size; chunkSize = 1 << 20) {
    before = at;
    for await (const chunk of readBytes(file, at, at + chunkSize)) {
      for (let i = 0; i < chunk.length; i++, at++) {
        if (chunk[i] === NEWLINE) {
          if (perLine || blank) return at + 1;
          blank = true;
        } else if (!isSpace(chunk[i])) blank = false;
      }
    }
  }
  return size;
}

const isSpace = (byte: number) => byte === 32 || (byte >= 9 && byte <= 13);

/**
 * Reads a unit into the sink, one piece at each step. Text: blank lines separate documents; in a file without a blank
 * line in its first 64 KiB every line is a document. Other formats: a record is a document, its lines are the sentences.
 * White space around a line is dropped.
 *
 * @throws {ClozeError} `input` for what is no text of that format, with its line.
 */
export async function* readUnit(
  unit: Unit,
  config: CorpusConfig,
  report: CorpusReport,
  sink: TextSink,
): AsyncGenerator<void> {
  const { file, format, from, to } = unit;
  const documents = new DocumentCounter(report, sink);
  if (format === "text") {
    const { on_invalid } = config;
    const onInvalid = () => report.invalid++;
    const options = { file, on_invalid, onInvalid, linesBefore: () => linesTo(file, from), atStart: from === 0 };
    return yield* takeLines(readLines(readBytes(file, from, to), options), unit.document_per_line, documents);
  }
  const { text_column, text_field = text_column } = config;
  const column = format === "json" || format === "jsonl" ? text_field : text_column;
  const others = format === "json" ? "; --exclude leaves out what is no corpus" : "";
  const hint = `--text-column names the column or field of the text, by number in a table without names${others}`;
  const columns = () => [column];
  const records = readRecords({ file, format, from, to }, { config, report, columns, hint });
  yield* takeRecords(records, { file, column, hint }, documents, report);
}

/** Trims and counts, and ends documents that are too long. */
class DocumentCounter {
  readonly #report: CorpusReport;
  readonly #sink: TextSink;
  #length = 0;

  constructor(report: CorpusReport, sink: TextSink) {
    this.#report = report;
    this.#sink = sink;
  }

  /** Whether the document in progress has text. */
  get open(): boolean {
    return this.#length > 0;
  }

  /** A line of the document in progress. Returns whether it has text in it. */
  line(bytes: Uint8Array, from: number, to: number): boolean {
    while (from < to && isSpace(bytes[from])) from++;
    while (to > from && isSpace(bytes[to - 1])) to--;
    if (from === to) return false;
    this.#report.sentence(bytes, from, to);
    this.#sink.sentence(bytes, from, to);
    this.#length += to - from;
    if (this.#length >= LONGEST_DOCUMENT) this.end();
    return true;
  }

  end(): void {
    if (this.#length === 0) return;
    this.#length = 0;
    this.#report.documents++;
    this.#sink.endDocument();
  }
}

async function* takeLines(
  blocks: AsyncIterable<Uint8Array>,
  perLine: boolean,
  documents: DocumentCounter,
): AsyncGenerator<void> {
  const skipped = SKIPPED.charCodeAt(0);
  for await (const block of blocks) {
    for (let from = 0; from < block.length;) {
      let to = block.indexOf(NEWLINE, from);
      if (to < 0) to = block.length;
      const isSkipped = to === from + 1 && block[from] === skipped;
      if (!isSkipped && (!documents.line(block, from, to) || perLine)) documents.end();
      from = to + 1;
    }
    yield;
  }
  documents.end();
}

const encoder = new TextEncoder();

async function* takeRecords(
  blocks: AsyncIterable<FileRecord[]>,
  from: { file: string; column: string; hint: string },
  documents: DocumentCounter,
  report: CorpusReport,
): AsyncGenerator<void> {
  let utf8 = new Uint8Array(1 << 16);
  for await (const records of blocks) {
    for (const { values, place } of records) {
      const text = textOf(values[0])?.replace(/\r\n?/g, "\n");
      if (text === undefined) {
        const { file, column, hint } = from;
        const what = `has ${kindOf(values[0])} in ${JSON.stringify(column)}, not a text`;
        throw new ClozeError("input", `${file}: ${await place()} ${what}`, { hint });
      }
      if (3 * text.length > utf8.length) utf8 = new Uint8Array(3 * text.length);
      const { written } = encoder.encodeInto(text, utf8);
      let any = false;
      for (let from = 0; from < written;) {
        let to = utf8.subarray(0, written).indexOf(NEWLINE, from);
        if (to < 0) to = written;
        if (documents.line(utf8, from, to)) any = true;
        from = to + 1;
      }
      documents.end();
      if (!any) report.empty++;
    }
    yield;
  }
}

/**
 * Documents of the files as text, in order.
 *
 * @throws {ClozeError} `input` if a file has no text in it, or none that can be read.
 */
export async function* readDocuments(
  files: readonly string[],
  config: CorpusConfig = CORPUS_DEFAULTS,
  report: CorpusReport = new CorpusReport(),
): AsyncGenerator<Document> {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let document: Document = [];
  const ready: Document[] = [];
  const sink = {
    sentence: (bytes: Uint8Array, from: number, to: number) => {
      document.push(decoder.decode(bytes.subarray(from, to)));
    },
    endDocument: () => {
      ready.push(document);
      document = [];
    },
  };
  const withText = new FilesWithText();
  for (const unit of await planUnits(files, config)) {
    const before = report.documents;
    for await (const _ of readUnit(unit, config, report, sink)) yield* ready.splice(0);
    yield* ready.splice(0);
    withText.add(unit.file, report.documents - before);
  }
  withText.end();
}

/** Refuses a file without text, when all its units have been read. */
export class FilesWithText {
  #file: string | undefined;
  #documents = 0;

  /** Units come in order. */
  add(file: string, documents: number): void {
    if (file !== this.#file) this.end();
    this.#file = file;
    this.#documents += documents;
  }

  /** @throws {ClozeError} `input` */
  end(): void {
    if (this.#file !== undefined && this.#documents === 0) {
      throw new ClozeError("input", `the data file ${this.#file} has no text in it`);
    }
    this.#documents = 0;
  }
}
