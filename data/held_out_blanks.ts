/**
 * Sentences of the held-out text with one word left out each, for a person to watch a model learn. Always the same for a
 * text and a tokenizer, whatever the run's seed. Not a measurement: the evaluation is. Called by the pretrain command.
 */

import type { Tokenizer } from "../tokenizer/mod.ts";
import { Permutation, Random, STREAMS } from "./rng.ts";
import type { Shard } from "./shard.ts";
import { sentenceLength } from "./shard_format.ts";

/** A sentence with a blank, and what stood there if that is known. */
export interface Blank {
  /** With one `[MASK]`, whatever the tokenizer calls it. */
  text: string;
  answer?: string;
}

/** Sentences with fewer tokens that have letters say too little about the blank; longer ones are no joy to read. */
const FEWEST_WORDS = 6, LONGEST = 30;
/** Sentences that are tried. */
const TRIED = 5000;

/**
 * Up to `count` sentences of at most `max_length` tokens. The blank is a word of letters that is one token, so that a
 * single answer can be right; sentences that do not read back as the same tokens are passed over.
 */
export function heldOutBlanks(shard: Shard, tokenizer: Tokenizer, count: number, max_length: number): Blank[] {
  const { sentences } = shard.header;
  const permutation = new Permutation(STREAMS.evaluation, sentences);
  const order = Array.from({ length: Math.min(TRIED, sentences) }, (_, p) => permutation.at(0, p));
  const places = placesOf(shard, new Set(order));
  const random = new Random(0, STREAMS.evaluation);
  const blanks: Blank[] = [];
  for (const i of order) {
    if (blanks.length === count) break;
    const { start, length } = places.get(i)!;
    if (length < FEWEST_WORDS || length > Math.min(LONGEST, max_length)) continue;
    const ids = shard.buffer(length);
    shard.readIds(start, ids);
    if (ids.includes(tokenizer.special.unk)) continue; // nobody can read it
    if (ids.filter((id) => /\p{L}/u.test(tokenizer.surface(id))).length < FEWEST_WORDS) continue;
    const words = [...ids.keys()].filter((at) =>
      /^\p{L}{2,}$/u.test(tokenizer.surface(ids[at])) && tokenizer.startsWord(ids[at]) &&
      (at + 1 === ids.length || tokenizer.startsWord(ids[at + 1]))
    );
    if (words.length === 0) continue;
    const at = random.at(0, i).pick(words);
    const masked = Int32Array.from(ids);
    masked[at] = tokenizer.special.mask;
    const text = tokenizer.blanked(masked, at);
    const again = tokenizer.encode(text).ids;
    if (again.length !== masked.length || again.some((id, k) => id !== masked[k])) continue;
    const shown = text.replace(tokenizer.names.mask, "[MASK]");
    if (blanks.some((blank) => blank.text === shown)) continue;
    blanks.push({ text: shown, answer: tokenizer.surface(ids[at]) });
  }
  return blanks;
}

/** Where sentences, given by their numbers, begin, and how long they are. */
function placesOf(shard: Shard, wanted: Set<number>): Map<number, { start: number; length: number }> {
  const places = new Map<number, { start: number; length: number }>();
  for (const { firstToken, firstSentence, sentences } of shard.blocks()) {
    let start = firstToken;
    sentences.forEach((sentence, i) => {
      const length = sentenceLength(sentence);
      if (wanted.has(firstSentence + i)) places.set(firstSentence + i, { start, length });
      start += length;
    });
  }
  return places;
}
