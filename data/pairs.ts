/**
 * Sentence pairs for next-sentence prediction, as google-research/bert's `create_pretraining_data.py` makes them (Devlin
 * et al., 2019, section 3.1, task 2). A pure function of its arguments: knows no file. Used by `sequences.ts`.
 */

import type { Random } from "./rng.ts";

/** Ids of a sentence. */
export type Sentence = ArrayLike<number>;

/** Two segments, without `[CLS]` and `[SEP]`. */
export interface SentencePair {
  first: number[];
  second: number[];
  /** 0 where `second` follows `first` in the text, 1 where it comes from another document. */
  next_sentence_label: 0 | 1;
}

/** `[CLS] first [SEP] second [SEP]`: what a pair has beside its segments. */
export const PAIR_SPECIALS = 3;

/** How long pairs are. */
export interface PairOptions {
  /** With `[CLS]` and both `[SEP]`. */
  max_sequence_length: number;
  /** Share of documents whose pairs are kept shorter, by a random length. */
  short_seq_prob: number;
}

/**
 * All pairs of one document. Segments are whole sentences; a chunk of them is cut in two at random, and in half of the
 * cases its second part is put back and replaced by sentences of another document. A chunk of one sentence always gets
 * a random second segment, so more than half of the pairs may be random.
 *
 * @param otherSegment gives sentences of a random other document, from a random one on, until they have `enough` tokens.
 */
export function sentencePairs(
  document: readonly Sentence[],
  options: PairOptions,
  random: Random,
  otherSegment: (random: Random, enough: number) => readonly Sentence[],
): SentencePair[] {
  const most = options.max_sequence_length - PAIR_SPECIALS;
  const target = random.uniform() < options.short_seq_prob ? 2 + random.below(most - 1) : most;
  const pairs: SentencePair[] = [];
  let from = 0, length = 0; // of the chunk in progress
  for (let i = 0; i < document.length; i++) {
    length += document[i].length;
    if (i + 1 < document.length && length < target) continue;
    const sentences = i + 1 - from;
    const cut = from + (sentences >= 2 ? 1 + random.below(sentences - 1) : 1);
    const first = concatenate(document, from, cut);
    const isRandom = sentences === 1 || random.uniform() < 0.5;
    let second: number[];
    if (isRandom) {
      const other = otherSegment(random, target - first.length);
      second = concatenate(other, 0, other.length);
      i = cut - 1; // the sentences that were not used are put back
    } else {
      second = concatenate(document, cut, i + 1);
    }
    truncate(first, second, most, random);
    pairs.push({ first, second, next_sentence_label: isRandom ? 1 : 0 });
    from = i + 1;
    length = 0;
  }
  return pairs;
}

/** Ids of the sentences from `from` to `to`. */
function concatenate(sentences: readonly Sentence[], from: number, to: number): number[] {
  const ids: number[] = [];
  for (let s = from; s < to; s++) for (let i = 0; i < sentences[s].length; i++) ids.push(sentences[s][i]);
  return ids;
}

/** Takes tokens from the front or the back of the longer segment until both fit. */
function truncate(first: number[], second: number[], most: number, random: Random): void {
  const ends = [first, second].map((ids) => ({ ids, from: 0, to: ids.length }));
  const [a, b] = ends;
  while (a.to - a.from + b.to - b.from > most) {
    const longer = a.to - a.from > b.to - b.from ? a : b;
    if (random.uniform() < 0.5) longer.from++;
    else longer.to--;
  }
  for (const { ids, from, to } of ends) {
    ids.length = to;
    ids.splice(0, from);
  }
}
