/** `Split` as real files of BPE have it. Used by the pre-tokenizers of pipelines. */

import { isObject, type Json } from "../json_fields.ts";
import type { PreTokenizer } from "../pipeline/pre_tokenizer.ts";
import type { WordSink } from "../text_scanner.ts";
import { codePointAt, widthOf } from "../utf8.ts";
import { EMPTY_HASH, nextHash } from "../word_table.ts";
import { ByteLevel } from "./byte_level.ts";
import type { Pattern } from "./gpt2_scanner.ts";

const BLANK = 0x20;

/** Cuts text behind every space, as Gemma's files do, whose normalizer leaves none. */
const BEHIND_SPACES: PreTokenizer = {
  prepare: (text) => text,
  cut(bytes: Uint8Array, from: number, to: number, sink: WordSink) {
    let start = from, hash = EMPTY_HASH;
    for (let i = from; i < to; i += widthOf(bytes[i])) {
      hash = nextHash(hash, codePointAt(bytes, i));
      if (bytes[i] !== BLANK) continue;
      sink.word(bytes, start, i + 1, hash);
      start = i + 1;
      hash = EMPTY_HASH;
    }
    if (to > start) sink.word(bytes, start, to, hash);
  },
  scan: (bytes, from, to, sink) => BEHIND_SPACES.cut(bytes, from, to, sink),
};

const NEWER = (digits: string) =>
  String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|` + digits +
  String.raw`| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

/** Expressions of real files. */
const PATTERNS: Record<string, Pattern> = {
  [String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`]: "gpt2",
  [NEWER(String.raw`\p{N}{1,3}`)]: { digits: 3 },
  [NEWER(String.raw`\p{N}`)]: { digits: 1 },
};

/** `Split` at one of the expressions with a `ByteLevel` behind it that cuts nothing more, or behind spaces. */
export function readSplit(steps: readonly Record<string, Json>[]): PreTokenizer | undefined {
  const [{ pattern, behavior, invert }, second] = steps;
  if (invert !== false || !isObject(pattern)) return undefined;
  if (steps.length === 1) {
    return pattern.String === " " && behavior === "MergedWithPrevious" ? BEHIND_SPACES : undefined;
  }
  const { Regex: regex } = pattern;
  if (steps.length > 2 || typeof regex !== "string" || !Object.hasOwn(PATTERNS, regex)) return undefined;
  if (behavior !== "Isolated" || second.type !== "ByteLevel") return undefined;
  if (second.add_prefix_space !== false || second.use_regex !== false) return undefined;
  return new ByteLevel(PATTERNS[regex], false);
}
