/** Words of a text and the pieces that they become: for models that tell something of each word. */

import type { Tokenizer } from "./tokenizer.ts";

/** Where a word stands in its text: UTF-16 units, end exclusive. */
export type WordPlace = readonly [from: number, to: number];

/** A sequence that a model sees, `[CLS]` and `[SEP]` included, of neighbouring words. */
export interface WordWindow {
  ids: Int32Array;
  /** Position of each word's first piece, rising. */
  positions: number[];
  /** The words, by number. */
  words: number[];
}

/** The windows of a text. */
export interface WordWindows {
  windows: WordWindow[];
  /** Words that are no piece at all, such as control characters: a model sees nothing of them. */
  unseen: number;
  /** Words whose end was cut off, because they alone are longer than a window. */
  cut: number;
}

/** A text of words that are given, with one space between two. */
export function joinedWords(words: readonly string[]): { text: string; places: WordPlace[] } {
  let at = 0;
  const places = words.map((word): WordPlace => {
    const from = at;
    at += word.length + 1;
    return [from, at - 1];
  });
  return { text: words.join(" "), places };
}

const WORD = /\S+/gu, EDGES = /^([\p{P}\p{S}]*)(.*?)([\p{P}\p{S}]*)$/su;

/**
 * The words of raw text: what stands between white space. As in tagged corpora, each punctuation mark or symbol at an end of
 * one is a word of its own.
 */
export function rawWords(text: string): WordPlace[] {
  return Array.from(text.matchAll(WORD)).flatMap(({ 0: word, index }) => {
    const [, before, middle, behind] = EDGES.exec(word)!;
    let at = index;
    return [...before, ...(middle === "" ? [] : [middle]), ...behind].map((part): WordPlace => [at, at += part.length]);
  });
}

/**
 * Cuts a text into sequences of at most `longest` tokens, between words. Where a text has to be cut, each window sees nothing
 * of the others.
 */
export function wordWindows(
  text: string,
  places: readonly WordPlace[],
  tokenizer: Tokenizer,
  longest: number,
): WordWindows {
  const { cls, sep } = tokenizer.special, most = longest - 2;
  const { ids, offsets } = tokenizer.encode(text), starts = firstPieces(text, places, offsets);
  const seen = starts.flatMap((start, word) => start < 0 ? [] : [{ start, word }]);
  const windows: WordWindow[] = [];
  let cut = 0;
  for (let i = 0; i < seen.length;) {
    const from = windows.length === 0 ? 0 : seen[i].start;
    let next = i + 1;
    while (next < seen.length && endOf(next) - from <= most) next++;
    const end = endOf(next - 1);
    const inside = seen.slice(i, next).filter(({ start }) => start - from < most);
    if (end - from > most) cut++;
    windows.push({
      ids: Int32Array.of(cls, ...ids.subarray(from, Math.min(end, from + most)), sep),
      positions: inside.map(({ start }) => start - from + 1),
      words: inside.map(({ word }) => word),
    });
    i = next;
  }
  return { windows, unseen: places.length - windows.reduce((sum, { words }) => sum + words.length, 0), cut };

  /** Where the pieces of a word end: with the next one. */
  function endOf(i: number): number {
    return i + 1 < seen.length ? seen[i + 1].start : ids.length;
  }
}

/** The first piece of each word, or −1 for one that has none. */
function firstPieces(text: string, places: readonly WordPlace[], offsets: readonly WordPlace[]): number[] {
  let piece = 0;
  return places.map(([from, to]) => {
    // One that begins with white space, or is nothing else, belongs to the word behind it.
    while (piece < offsets.length && offsets[piece][1] <= from && !leadsTo(piece, from)) piece++;
    return piece < offsets.length && offsets[piece][0] < to ? piece++ : -1;
  });

  function leadsTo(piece: number, from: number): boolean {
    const [start, end] = offsets[piece];
    return end === from && end > start && text.slice(start, end).trim() === "";
  }
}
