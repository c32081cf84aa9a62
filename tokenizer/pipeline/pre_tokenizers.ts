/** The pre-tokenizers of tokenizer.json: what cuts normalized text into words. Used by the splitter of pipelines. */

import { ClozeError } from "../../config/cloze_error.ts";
import { readByteLevel } from "../bpe/byte_level.ts";
import { readSplit } from "../bpe/split.ts";
import { type Json, shown } from "../json_fields.ts";
import { codePointAt, widthOf } from "../utf8.ts";
import { EMPTY_HASH, nextHash } from "../word_table.ts";
import type { PreTokenizer, ReadPreTokenizer } from "./pre_tokenizer.ts";

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
