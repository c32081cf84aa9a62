/**
 * Sentences in UTF-8 → ids with the places where eojeols begin, handed on to the block writer of training or of held-out
 * text. The one place where the data room tokenizes. Used by `unit_jobs.ts` and for text that comes as strings.
 */

import { IdBuffer, type Tokenizer } from "../tokenizer/mod.ts";
import type { TextSink } from "./corpus.ts";
import { Random, STREAMS } from "./rng.ts";
import type { BlockWriter } from "./shard_writer.ts";

/** Share of the documents that training never sees. */
export const HELD_OUT = 0.02;

const SPACE = 32, TAB = 9, RETURN = 13;

/** Takes documents, and sends each to one of two writers. */
export class SentenceEncoder implements TextSink {
  readonly #tokenizer: Tokenizer;
  readonly #train: BlockWriter;
  readonly #heldOut: BlockWriter;
  readonly #unit: number;
  readonly #random = new Random(0, STREAMS.holdout);
  #ids = new IdBuffer();
  readonly #starts: number[] = [];
  #document = 0;
  #target: BlockWriter;
  /** Tokens so far. */
  tokens = 0;

  /** Which documents are held out depends on the number of the unit that they are in, and on their number in it. */
  constructor(tokenizer: Tokenizer, unit: number, writers: { train: BlockWriter; heldOut: BlockWriter }) {
    this.#tokenizer = tokenizer;
    this.#unit = unit;
    this.#train = writers.train;
    this.#heldOut = writers.heldOut;
    this.#target = this.#choose();
  }

  #choose(): BlockWriter {
    return this.#random.at(this.#unit, this.#document).uniform() < HELD_OUT ? this.#heldOut : this.#train;
  }

  sentence(bytes: Uint8Array, from: number, to: number): void {
    const ids = this.#ids, starts = this.#starts;
    ids.truncate(0);
    starts.length = 0;
    // White space separates words for every tokenizer, so that each eojeol can be encoded on its own.
    for (let at = from; at < to;) {
      const length = spaceAt(bytes, at);
      if (length > 0) {
        at += length;
        continue;
      }
      let end = at + 1;
      while (end < to && spaceAt(bytes, end) === 0) end++;
      const before = ids.length;
      this.#tokenizer.encodeUtf8(bytes, at, end, ids);
      if (ids.length > before) starts.push(before);
      at = end;
    }
    this.tokens += ids.length;
    this.#target.sentence(ids.view(), starts);
  }

  endDocument(): void {
    this.#target.endDocument();
    this.#document++;
    this.#target = this.#choose();
  }
}

/** Bytes of the white space at that place; 0 if there is none. Beside ASCII it knows U+3000, the ideographic space. */
function spaceAt(bytes: Uint8Array, at: number): number {
  const byte = bytes[at];
  if (byte === SPACE || byte === TAB || byte === RETURN) return 1;
  return byte === 0xE3 && bytes[at + 1] === 0x80 && bytes[at + 2] === 0x80 ? 3 : 0;
}

const encoder = new TextEncoder();

/** Hands a document of strings to a sink. */
export function sinkDocument(document: readonly string[], sink: TextSink): void {
  for (const sentence of document) {
    const bytes = encoder.encode(sentence);
    sink.sentence(bytes, 0, bytes.length);
  }
  sink.endDocument();
}
