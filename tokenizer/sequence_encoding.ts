/** A text, or a pair of texts, as a model on sequences sees it. */

import type { Tokenizer } from "./tokenizer.ts";
import { bothCounts, type UnknownCounts, unknownCounts } from "./unknown_counts.ts";

/** The sequence that a text, or a pair, becomes. */
export interface EncodedSequence {
  /** With the special tokens that stand around. */
  ids: Int32Array;
  /** The segment of each of them, where that is not 0 for all. */
  type_ids?: Int32Array;
  /** Whether something was cut off. */
  truncated: boolean;
  /** Of all of the text. */
  counts: UnknownCounts;
}

/**
 * Encodes a text as `[CLS] a [SEP]`, and a pair as the tokenizer has it: `[CLS] a [SEP] b [SEP]`, in the families of RoBERTa
 * with two `</s>` between them.
 *
 * @param longest tokens; what is more is cut off at the end, of a pair as `longest_first` of Hugging Face's tokenizers does.
 * @param segments rows of the model's embedding of token types: with one, all are 0.
 */
export function encodeSequence(
  tokenizer: Tokenizer,
  { text, pair }: { text: string; pair?: string | undefined },
  longest: number,
  segments: number,
): EncodedSequence {
  const { ids } = tokenizer.encode(text), counts = unknownCounts(ids, tokenizer);
  if (pair === undefined) {
    const { cls, sep } = tokenizer.special, most = longest - 2;
    return { ids: Int32Array.of(cls, ...ids.subarray(0, most), sep), truncated: ids.length > most, counts };
  }
  const second = tokenizer.encode(pair).ids, both = tokenizer.encode(text, { template: true, pair });
  const most = longest - (both.ids.length - ids.length - second.length);
  const [first, rest] = longestFirst(ids.length, second.length, most);
  let seen = 0;
  const isKept = both.special_tokens_mask.map((isSpecial) => {
    if (isSpecial === 1) return true;
    const at = seen++;
    return at < ids.length ? at < first : at - ids.length < rest;
  });
  const type_ids = Int32Array.from(both.type_ids.filter((_, i) => isKept[i]));
  return {
    ids: both.ids.filter((_, i) => isKept[i]),
    ...(segments > 1 && type_ids.some((type) => type !== 0) ? { type_ids } : {}),
    truncated: ids.length + second.length > most,
    counts: bothCounts(counts, unknownCounts(second, tokenizer)),
  };
}

/** Tokens that are left of two texts: the longer one is cut first, and then both to halves. */
function longestFirst(first: number, second: number, most: number): [first: number, second: number] {
  if (first + second <= most) return [first, second];
  const shorter = Math.min(first, second, Math.floor(most / 2));
  return first <= second ? [shorter, most - shorter] : [most - shorter, shorter];
}
