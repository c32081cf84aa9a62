/** The pre-tokenizers of tokenizer.json: what cuts normalized text into words. Used by the splitter of pipelines. */

import { ClozeError } from "../../config/cloze_error.ts";
import type { AlignedText } from "../aligned_text.ts";
import { readByteLevel } from "../bpe/byte_level.ts";
import { readSplit } from "../bpe/split.ts";
import { type Json, shown } from "../json_fields.ts";
import type { WordSink } from "../text_scanner.ts";
import { codePointAt, widthOf } from "../utf8.ts";
import { EMPTY_HASH, nextHash } from "../word_table.ts";

/** Cuts text into words. */
export interface PreTokenizer {
  /** What it writes into a text before it cuts it, such as a space at its beginning. `isFirst`: it begins the whole text. */
  prepare(text: AlignedText, isFirst: boolean): AlignedText;
  /** Hands the words of prepared text, `bytes[from..to)`, to the sink: ranges of these bytes, from left to right. */
  cut(bytes: Uint8Array, from: number, to: number, sink: WordSink): void;
  /** Both at once, for text whose offsets nobody asks for: the hot path. */
  scan(bytes: Uint8Array, from: number, to: number, sink: WordSink, isFirst: boolean): void;
}

/** Reads a sequence of steps of tokenizer.json, of which the first is of this type; `undefined` if it is not as it can be. */
export type ReadPreTokenizer = (steps: readonly Record<string, Json>[]) => PreTokenizer | undefined;

/** Takes the whole text for one word. */
const WHOLE: PreTokenizer = {
  prepare: (text) => text,
  cut(bytes, from, to, sink) {
    if (to === from) return;
    let hash = EMPTY_HASH;
    for (let i = from; i < to; i += widthOf(bytes[i])) hash = nextHash(hash, codePointAt(bytes, i));
    sink.word(bytes, from, to, hash);
  },
  scan: (bytes, from, to, sink) => WHOLE.cut(bytes, from, to, sink),
};

/** Those that are known, by the type of the first step. */
const PRE_TOKENIZERS: Record<string, ReadPreTokenizer> = {
  ByteLevel: readByteLevel,
  Split: readSplit,
};

/** The pre-tokenizer of a file: its steps, without sequences around them. @throws {ClozeError} naming what is not known. */
export function readPreTokenizer(steps: readonly Record<string, Json>[]): PreTokenizer {
  if (steps.length === 0) return WHOLE;
  const [{ type }] = steps;
  const found = typeof type === "string" && Object.hasOwn(PRE_TOKENIZERS, type)
    ? PRE_TOKENIZERS[type](steps)
    : undefined;
  if (found !== undefined) return found;
  const names = steps.map(({ type }) => typeof type === "string" ? type.slice(0, 40) : shown(type)).join(", ");
  throw new ClozeError(
    "input",
    `its pre_tokenizer is ${JSON.stringify(names)}, which cloze does not read for this model`,
  );
}
