/**
 * Sentences in UTF-8 → ids with the places where eojeols begin, handed on to the block writer of training or of held-out
 * text. The one place where the data room tokenizes. Used by `unit_jobs.ts` and for text that comes as strings.
 */

import { IdBuffer, type Tokenizer } from "../tokenizer/mod.ts";
import type { TextSink } from "./unit.ts";
import { Random, STREAMS } from "./rng.ts";
import type { BlockWriter } from "./shard_writer.ts";
import type { UnknownSample } from "./unknown_words.ts";

/** Share of the documents that training never sees, where no text is given to measure on. */
export const HELD_OUT = 0.02;

const SPACE = 32, TAB = 9, RETURN = 13;

const encoder = new TextEncoder();

/** Takes documents, and sends each to one of two writers. */
export class SentenceEncoder implements TextSink {
  readonly #tokenizer: Tokenizer;
  readonly #train: BlockWriter;
  readonly #heldOut: BlockWriter;
  readonly #unknown: UnknownSample;
  readonly #heldOutShare: number;
  readonly #unit: number;
  readonly #random = new Random(0, STREAMS.holdout);
  #ids = new IdBuffer();
  readonly #starts: number[] = [];
  #document = 0;
  #target: BlockWriter;
  /** Tokens so far. */
  tokens = 0;

  /**
   * Which documents are held out depends on the number of the unit that they are in, and on their number in it: a share of
   * 0 is none, 1 is all. What became `[UNK]` goes to `unknown`.
   */
  constructor(
    tokenizer: Tokenizer,
    unit: number,
    writers: { train: BlockWriter; heldOut: BlockWriter },
    unknown: UnknownSample,
    heldOutShare: number,
  ) {
    this.#heldOutShare = heldOutShare;
    this.#tokenizer = tokenizer;
    this.#unknown = unknown;
    this.#unit = unit;
    this.#train = writers.train;
    this.#heldOut = writers.heldOut;
    this.#target = this.#choose();
  }

  #choose(): BlockWriter {
    return this.#random.at(this.#unit, this.#document).uniform() < this.#heldOutShare ? this.#heldOut : this.#train;
  }

  sentence(bytes: Uint8Array, from: number, to: number): void {
    const ids = this.#ids;
    ids.truncate(0);
    this.#starts.length = 0;
    this.#tokenizer.encodeSentence(bytes, from, to, ids, this.#starts);
    this.tokens += ids.length;
    const { unk } = this.#tokenizer.special, { counts } = this.#target, unknown = counts[unk];
    this.#target.sentence(ids.view(), this.#starts);
    if (counts[unk] !== unknown) this.#sample(bytes, from, to);
  }

  /** Hands on those eojeols of a sentence in which a word became `[UNK]`, by encoding them once more: they are few. */
  #sample(bytes: Uint8Array, from: number, to: number): void {
    const ids = this.#ids;
    for (let at = from; at < to;) {
      const length = spaceAt(bytes, at);
      if (length > 0) {
        at += length;
        continue;
      }
      const end = eojeolEnd(bytes, at, to);
      if (this.#unknown.keeps(bytes, at, end)) {
        ids.truncate(0);
        this.#tokenizer.encodeUtf8(bytes, at, end, ids);
        if (ids.view().includes(this.#tokenizer.special.unk)) this.#unknown.add(bytes, at, end);
      }
      at = end;
    }
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

/** Where the text that begins at `at`, which is no white space, has white space again. */
function eojeolEnd(bytes: Uint8Array, at: number, to: number): number {
  let end = at + 1;
  while (end < to && spaceAt(bytes, end) === 0) end++;
  return end;
}

/** Hands a document of strings to a sink. */
export function sinkDocument(document: readonly string[], sink: TextSink): void {
  for (const sentence of document) {
    const bytes = encoder.encode(sentence);
    sink.sentence(bytes, 0, bytes.length);
  }
  sink.endDocument();
}
