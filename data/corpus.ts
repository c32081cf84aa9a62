/**
 * Files → units of work → documents of sentences. A unit is a byte range of a plain text or JSONL file, or another file
 * as a whole; units do not depend on who reads them, so that workers can share them out. Streams: neither a file nor a
 * unit has to fit in memory. Knows no tokenizer. Used to count words and to write shards.
 */

import { CORPUS_DEFAULTS, type CorpusConfig } from "../config/batch_config.ts";
import { ClozeError, ioError } from "../config/cloze_error.ts";
import { readBytes } from "./bytes.ts";
import { CorpusReport } from "./corpus_report.ts";
import { readLines, SKIPPED } from "./lines.ts";
import { readJsonLines, readParquet, readTable } from "./records.ts";
import { type Format, sourceKind } from "./sources.ts";

/** A document: its sentences, one a line in the file. */
export type Document = string[];

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
/** Characters of a document, about: a longer one is taken for several, so that memory stays bounded. */
const LONGEST_DOCUMENT = 1 << 20;

/**
 * The units of the files, in order.
 *
 * @throws {ClozeError} `io`, or `input` if a file is empty.
 */
export async function planUnits(files: readonly string[], unitBytes = UNIT): Promise<Unit[]> {
  const units: Unit[] = [];
  for (const file of files) {
    const { format, compression } = sourceKind(file);
    const { size } = await Deno.stat(file).catch((error) => {
      throw ioError(error, "read", file);
    });
    const document_per_line = format !== "text" || await hasNoBlankLines(file);
    if (compression !== "none" || (format !== "text" && format !== "jsonl")) {
      units.push({ file, format, from: 0, to: Infinity, document_per_line });
      continue;
    }
    for (let from = 0; from < size;) {
      const to = from + unitBytes >= size ? size : await boundary(file, from + unitBytes, size, document_per_line);
      units.push({ file, format, from, to, document_per_line });
      from = to;
    }
    if (size === 0) units.push({ file, format, from: 0, to: 0, document_per_line });
  }
  return units;
}

/** Whether the first lines with text have no blank line between them. */
async function hasNoBlankLines(file: string): Promise<boolean> {
  let read = 0, text = false, blank = false;
  const options = { file, on_invalid: "replace", onInvalid: () => {}, atStart: true, linesBefore } as const;
  for await (const lines of readLines(firstBytes(file), options)) {
    for (const line of lines) {
      const isBlank = line.trim() === "";
      if (!isBlank && blank) return false;
      text ||= !isBlank;
      blank = text && isBlank;
      read += line.length;
    }
  }
  return true;

  async function* firstBytes(file: string): AsyncGenerator<Uint8Array> {
    let left = PROBE;
    for await (const chunk of readBytes(file, 0, PROBE)) {
      yield chunk.subarray(0, left);
      if ((left -= chunk.length) <= 0) return;
    }
  }
}

/** The first byte at or after `from` where a document can begin: after a line, or after a blank line. */
async function boundary(file: string, from: number, size: number, perLine: boolean): Promise<number> {
  let at = from - 1; // a line that ends just before `from` counts
  let blank = false; // only white space since the last line feed
  for await (const chunk of readBytes(file, at)) {
    for (let i = 0; i < chunk.length; i++, at++) {
      if (chunk[i] === 10) {
        if (perLine || blank) return at + 1;
        blank = true;
      } else if (chunk[i] > 32) blank = false;
    }
  }
  return size;
}

const linesBefore = () => Promise.resolve(0);

/** Lines before a byte of a file. */
async function countLines(file: string, to: number): Promise<number> {
  let lines = 0;
  if (to > 0) for await (const chunk of readBytes(file, 0, to)) for (const byte of chunk) if (byte === 10) lines++;
  return lines;
}

/**
 * Documents of a unit, in blocks. Text: blank lines separate documents; in a file without a blank line in its first
 * 64 KiB every line is a document. Other formats: a record is a document. White space around a line is dropped.
 *
 * @throws {ClozeError} `input` for what is no text of that format, with its line.
 */
export async function* readUnit(
  unit: Unit,
  options: CorpusConfig,
  report: CorpusReport,
): AsyncGenerator<Document[]> {
  for await (const texts of unitTexts(unit, options, report)) {
    for (const document of texts) {
      report.documents++;
      for (const sentence of document) report.sentence(sentence);
    }
    yield texts;
  }
}

async function* unitTexts(unit: Unit, options: CorpusConfig, report: CorpusReport): AsyncGenerator<Document[]> {
  const { file, format } = unit;
  if (format === "parquet") {
    yield* records(await parquetTexts(unit, options), report);
    return;
  }
  const before = () => countLines(file, unit.from);
  const lines = readLines(readBytes(file, unit.from, unit.to), {
    file,
    on_invalid: options.on_invalid,
    onInvalid: () => report.invalid++,
    linesBefore: before,
    atStart: unit.from === 0,
  });
  if (format === "text") yield* unit.document_per_line ? lineDocuments(lines) : blankLineDocuments(lines);
  else if (format === "jsonl") yield* records(readJsonLines(lines, file, options.text_field, before), report);
  else yield* records(readTable(lines, file, options.text_column, format), report);
}

async function parquetTexts(unit: Unit, options: CorpusConfig): Promise<AsyncIterable<string[]>> {
  const { file } = unit;
  if (sourceKind(file).compression === "none") return readParquet(file, file, options.text_column);
  return decompressed();

  // Parquet is read from its end, so it has to be a file.
  async function* decompressed(): AsyncGenerator<string[]> {
    const temporary = await Deno.makeTempFile({ prefix: "cloze-", suffix: ".parquet" });
    try {
      using out = await Deno.open(temporary, { write: true });
      for await (const chunk of readBytes(file)) {
        for (let at = 0; at < chunk.length;) at += await out.write(chunk.subarray(at));
      }
      yield* readParquet(temporary, file, options.text_column);
    } finally {
      await Deno.remove(temporary);
    }
  }
}

async function* lineDocuments(blocks: AsyncIterable<string[]>): AsyncGenerator<Document[]> {
  for await (const lines of blocks) {
    const documents: Document[] = [];
    for (const line of lines) {
      const text = line.trim();
      if (text !== "" && line !== SKIPPED) documents.push([text]);
    }
    yield documents;
  }
}

async function* blankLineDocuments(blocks: AsyncIterable<string[]>): AsyncGenerator<Document[]> {
  let document: Document = [], length = 0;
  for await (const lines of blocks) {
    const documents: Document[] = [];
    for (const line of lines) {
      if (line === SKIPPED) continue;
      const text = line.trim();
      if (text !== "") {
        document.push(text);
        length += text.length;
      }
      if ((text === "" || length >= LONGEST_DOCUMENT) && document.length > 0) {
        documents.push(document);
        [document, length] = [[], 0];
      }
    }
    yield documents;
  }
  if (document.length > 0) yield [document];
}

/** A record's lines are its document's sentences. */
async function* records(blocks: AsyncIterable<string[]>, report: CorpusReport): AsyncGenerator<Document[]> {
  for await (const texts of blocks) {
    const documents: Document[] = [];
    for (const text of texts) {
      let document: Document = [], length = 0;
      for (const line of text.split("\n")) {
        const sentence = line.trim();
        if (sentence === "") continue;
        document.push(sentence);
        length += sentence.length;
        if (length >= LONGEST_DOCUMENT) {
          documents.push(document);
          [document, length] = [[], 0];
        }
      }
      if (document.length > 0) documents.push(document);
      else if (length === 0 && text.trim() === "") report.empty++;
    }
    yield documents;
  }
}

/**
 * Documents of the files, in order.
 *
 * @throws {ClozeError} `input` if a file has no text in it, or none that can be read.
 */
export async function* readDocuments(
  files: readonly string[],
  options: CorpusConfig = CORPUS_DEFAULTS,
  report: CorpusReport = new CorpusReport(),
): AsyncGenerator<Document> {
  let file = files[0], any = false;
  for (const unit of await planUnits(files)) {
    if (unit.file !== file) {
      if (!any) throw withoutText(file);
      [file, any] = [unit.file, false];
    }
    for await (const documents of readUnit(unit, options, report)) {
      any ||= documents.length > 0;
      yield* documents;
    }
  }
  if (file !== undefined && !any) throw withoutText(file);
}

/** What is said of a file that has nothing to learn from. */
export function withoutText(file: string): ClozeError {
  return new ClozeError("input", `the data file ${file} has no text in it`);
}
