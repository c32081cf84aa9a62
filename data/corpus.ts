/**
 * Files → units of work → documents of sentences. A unit is a byte range of a plain text or JSONL file, or another file
 * as a whole; units do not depend on who reads them, so that workers can share them out. Streams: neither a file nor a
 * unit has to fit in memory. Knows no tokenizer. Used to count words and to write shards.
 */

import { CORPUS_DEFAULTS, type CorpusConfig } from "../config/batch_config.ts";
import { regularFile } from "../config/regular_file.ts";
import { readBytes } from "./bytes.ts";
import { CorpusReport } from "./corpus_report.ts";
import { hasNoBreaks, isSpace, knownPerLine, rememberPerLine, stampOf } from "./document_breaks.ts";
import { DocumentCounter, type LineTaker, takerOf, undecidedTaker } from "./document_counter.ts";
import { FilesWithText } from "./files_with_text.ts";
import { readLines, SKIPPED } from "./lines.ts";
import { type RecordText, recordTexts } from "./record_texts.ts";
import { linesTo } from "./records.ts";
import { sourceKind } from "./sources.ts";
import type { TextSink, Unit } from "./unit.ts";

/** A document: its sentences, one a line in the file. */
export type Document = string[];

/** Bytes of a unit, about. */
const UNIT = 1 << 22;
const NEWLINE = 10;

/**
 * The units of the files, in order.
 *
 * @throws {ClozeError} `io`, or `input` for what is no text.
 */
export async function planUnits(
  files: readonly string[],
  { format: otherwise, documents }: Pick<CorpusConfig, "format" | "documents"> = CORPUS_DEFAULTS,
  unitBytes = UNIT,
): Promise<Unit[]> {
  const units: Unit[] = [];
  for (const file of files) {
    const { format, compression } = sourceKind(file, otherwise);
    const info = regularFile(file);
    const { size } = info, stamp = stampOf(info);
    let document_per_line = format === "text" ? knownPerLine(file, stamp, documents) : true;
    if (compression !== "none" || (format !== "text" && format !== "jsonl") || size <= unitBytes) {
      units.push({ file, format, from: 0, to: Infinity, document_per_line, bytes: size, stamp });
      continue;
    }
    if (document_per_line === undefined) {
      document_per_line = await hasNoBreaks(file);
      rememberPerLine(file, stamp, document_per_line);
    }
    for (let from = 0; from < size;) {
      const to = from + unitBytes >= size ? size : await boundary(file, from + unitBytes, size, document_per_line);
      units.push({ file, format, from, to, document_per_line, bytes: to - from, stamp });
      from = to;
    }
  }
  return units;
}

/** The unit with what its file says about documents; a file that nobody knows is looked through. */
export async function decided(unit: Unit): Promise<Unit> {
  return unit.document_per_line === undefined ? { ...unit, document_per_line: await hasNoBreaks(unit.file) } : unit;
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

/**
 * Reads a unit into the sink, one piece at each step. Text: blank lines separate documents; in a file without a blank
 * line between lines with text every line is a document. Other formats: a record is a document, its lines are the
 * sentences. White space around a line is dropped.
 *
 * Of a unit that is not {@linkcode decided}, the sink is told of sentences and not of documents; the report has both.
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
    const blocks = readLines(readBytes(file, from, to), options);
    const { document_per_line: perLine } = unit;
    const taker = perLine === undefined ? undecidedTaker(unit, report, sink) : takerOf(documents, perLine);
    return yield* takeLines(blocks, taker);
  }
  const records = recordTexts({ file, format, from, to }, config, report);
  yield* takeRecords(records, documents, report);
}

async function* takeLines(blocks: AsyncIterable<Uint8Array>, taker: LineTaker): AsyncGenerator<void> {
  const skipped = SKIPPED.charCodeAt(0);
  for await (const block of blocks) {
    for (let from = 0; from < block.length;) {
      if (block[from] === NEWLINE) { // many blank lines are like one, and soon passed
        taker.line(block, from, from);
        while (block[from] === NEWLINE) from++;
        continue;
      }
      let to = block.indexOf(NEWLINE, from);
      if (to < 0) to = block.length;
      if (to === from + 1 && block[from] === skipped) taker.skipped();
      else taker.line(block, from, to);
      from = to + 1;
    }
    yield;
  }
  taker.end();
}

const encoder = new TextEncoder();

async function* takeRecords(
  blocks: AsyncIterable<RecordText[]>,
  documents: DocumentCounter,
  report: CorpusReport,
): AsyncGenerator<void> {
  let utf8 = new Uint8Array(1 << 16);
  for await (const records of blocks) {
    for (const { text, problem } of records) {
      if (text === undefined) throw await problem();
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
 * @param onNote told of files without text among others.
 * @throws {ClozeError} `input` if no file has text in it, or one has none that can be read.
 */
export async function* readDocuments(
  files: readonly string[],
  config: CorpusConfig = CORPUS_DEFAULTS,
  report: CorpusReport = new CorpusReport(),
  onNote?: (text: string) => void,
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
  const withText = new FilesWithText(onNote);
  for (const unit of await planUnits(files, config)) {
    const before = report.documents;
    for await (const _ of readUnit(await decided(unit), config, report, sink)) yield* ready.splice(0);
    yield* ready.splice(0);
    withText.add(unit.file, report.documents - before);
  }
  withText.end();
}
