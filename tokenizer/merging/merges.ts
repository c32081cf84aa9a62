/**
 * The merge rule of Hugging Face's `BpeTrainer` and `WordPieceTrainer`: the most frequent pair of neighbouring pieces becomes a
 * piece, again and again; where equal, the pair with the smaller ids. Used to learn a vocabulary and to extend one.
 */

import { PairQueue } from "./pair_queue.ts";
import { PairTable } from "./pair_table.ts";
import { PieceLists } from "./piece_lists.ts";
import { codePoints } from "../utf8.ts";
import type { WordCounts } from "../word_counter.ts";

/** What to merge, and until when. */
export interface MergeOptions {
  words: WordCounts;
  /** Cuts the word `bytes[start..end)` into the ids of its first pieces, in `out`; returns how many. */
  cut: (bytes: Uint8Array, start: number, end: number, out: Int32Array) => number;
  /** How tokens are made of others, and how long they are. */
  pieces: PieceKind;
  vocab_size: number;
  /** Pairs that are rarer are not merged. */
  min_frequency: number;
  /** Whether a token cannot be one: pairs that would become it are not merged. */
  isTaken?: (token: string) => boolean;
  /** Told now and then how many tokens there are. */
  onProgress: (tokens: number) => void;
}

/** What tokens are made of: characters, with `##` inside a word, or bytes in GPT-2's alphabet. */
export interface PieceKind {
  /** The token that a pair becomes. */
  join(left: string, right: string): string;
  /** First pieces in a token: what it is made of at most. */
  lengthOf(token: string): number;
  /** First pieces in all words together. */
  all(bytes: Uint8Array): number;
}

/** WordPiece's: characters, those inside a word marked `##`. */
export const CHARACTER_PIECES: PieceKind = {
  join: (left, right) => left + right.slice(2),
  lengthOf: (token) => Array.from(token.replace(/^##/, "")).length,
  all: (bytes) => codePoints(bytes, 0, bytes.length),
};

/** Byte-level BPE's. */
export const BYTE_PIECES: PieceKind = {
  join: (left, right) => left + right,
  lengthOf: (token) => token.length,
  all: (bytes) => bytes.length,
};

/**
 * Appends merged pieces to `tokens`, which has the first pieces already.
 *
 * @returns three numbers a merge, in their order: the ids of the pair and of what it became.
 */
export function learnMerges(tokens: string[], options: MergeOptions): number[] {
  const {
    words: { bytes, ends, counts },
    cut,
    pieces: kind,
    vocab_size,
    min_frequency,
    isTaken = () => false,
    onProgress,
  } = options;
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const lengths = tokens.map((token) => kind.lengthOf(token));
  const pairs = new PairTable(), merges: number[] = [];
  let longest = 0;
  for (let word = 0, start = 0; word < ends.length; start = ends[word++]) {
    longest = Math.max(longest, ends[word] - start);
  }
  const lists = new PieceLists(pairs, counts, lengths, kind.all(bytes));
  const pieces = new Int32Array(longest);
  for (let word = 0, start = 0; word < ends.length; start = ends[word++]) {
    lists.add(word, pieces, cut(bytes, start, ends[word], pieces));
  }
  const queue = new PairQueue(pairs);
  for (let pair = 0; pair < pairs.size; pair++) queue.push(pair);
  const risen: number[] = [];
  while (tokens.length < vocab_size) {
    const pair = queue.pop(Math.max(1, min_frequency));
    if (pair < 0) break;
    const left = pairs.left(pair), right = pairs.right(pair);
    const token = kind.join(tokens[left], tokens[right]);
    if (isTaken(token)) continue;
    // Two ways may lead to the same token.
    const merged = ids.get(token) ?? tokens.length;
    if (merged === tokens.length) {
      tokens.push(token);
      ids.set(token, merged);
      lengths.push(lengths[left] + lengths[right]);
      if (merged % 256 === 0) onProgress(merged);
    }
    merges.push(left, right, merged);
    risen.length = 0;
    lists.merge(pair, merged, (pair) => risen.push(pair));
    for (const pair of risen) queue.push(pair);
  }
  return merges;
}
