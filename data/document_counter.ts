/**
 * Lines of text → documents that are counted: each line one, or what stands between blank lines. Used by `corpus.ts` as it
 * reads.
 */

import type { TextSink, Unit } from "./unit.ts";
import type { CorpusReport } from "./corpus_report.ts";
import { BreakFinder, isSpace, rememberPerLine } from "./document_breaks.ts";

/** Bytes of a document, about: a longer one is taken for several, so that memory stays bounded. */
const LONGEST_DOCUMENT = 1 << 20;

/** Trims and counts, and ends documents that are too long. */
export class DocumentCounter {
  readonly #report: Pick<CorpusReport, "documents" | "sentence">;
  readonly #sink: TextSink;
  #length = 0;

  constructor(report: Pick<CorpusReport, "documents" | "sentence">, sink: TextSink) {
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

/** Takes lines one after the other. */
export interface LineTaker {
  line(bytes: Uint8Array, from: number, to: number): void;
  /** A line that is left out. */
  skipped(): void;
  end(): void;
}

/** Takes lines for documents, or for parts of documents that blank lines separate. */
export function takerOf(documents: DocumentCounter, perLine: boolean): LineTaker {
  return {
    line: (bytes, from, to) => {
      if (!documents.line(bytes, from, to) || perLine) documents.end();
    },
    skipped: () => {},
    end: () => documents.end(),
  };
}

/** Takes every line for a document, and also counts what blank lines separate, until it is clear which of both is right. */
export function undecidedTaker({ file, stamp }: Unit, report: CorpusReport, sink: TextSink): LineTaker {
  const separate = { documents: 0, sentence: () => {} }, before = report.documents;
  const lines = new DocumentCounter(report, { sentence: (...line) => sink.sentence(...line), endDocument: () => {} });
  const separated = takerOf(new DocumentCounter(separate, { sentence: () => {}, endDocument: () => {} }), false);
  const finder = new BreakFinder();
  return {
    line: (bytes, from, to) => {
      finder.line(lines.line(bytes, from, to));
      lines.end();
      separated.line(bytes, from, to);
    },
    skipped: () => finder.line(true),
    end: () => {
      separated.end();
      if (finder.found) report.documents = before + separate.documents;
      rememberPerLine(file, stamp, !finder.found);
    },
  };
}
