/** A unit of work over a corpus, and what takes the text that is read of it. */

import type { Format } from "./sources.ts";

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
  /**
   * Of plain text: whether every line is a document, because the file has no blank lines between documents. Undefined of
   * a whole file that nobody has looked through yet.
   */
  document_per_line: boolean | undefined;
  /** Bytes of the file that are read for it. */
  bytes: number;
  /** Tells the file from what it was before. */
  stamp: string;
}
