/**
 * The merge rule of Hugging Face's `WordPieceTrainer`: the most frequent pair of neighbouring pieces becomes a piece, again
 * and again; where equal, the pair with the smaller ids. Used to learn a vocabulary and to extend one.
 */

import { PairQueue } from "./pair_queue.ts";
import { PairTable } from "./pair_table.ts";
import { PieceLists } from "./piece_lists.ts";
import type { WordCounts } from "../word_counter.ts";

/** What to merge, and until when. */
export interface MergeOptions {
  words: WordCounts;
  /** Cuts the word `bytes[start..end)` into the ids of its first pieces, in `out`; returns how many. */
  cut: (bytes: Uint8Array, start: number, end: number, out: Int32Array) => number;
  vocab_size: number;
  /** Pairs that are rarer are not merged. */
  min_frequency: number;
  /** Told now and then how many tokens there are. */
  onProgress: (tokens: number) => void;
}

/** Appends merged pieces to `tokens`, which has the first pieces already. */
export function learnMerges(tokens: string[], options: MergeOptions): void {
  const { words: { bytes, ends, counts }, cut, vocab_size, min_frequency, onProgress } = options;
  const ids = new Map(tokens.map((token, id) => [token, id]));
  const lengths = tokens.map((token) => Array.from(token.replace(/^##/, "")).length);
  const pairs = new PairTable();
  let characters = 0, longest = 0;
  for (const byte of bytes) if ((byte & 0xC0) !== 0x80) characters++;
  for (let word = 0, start = 0; word < ends.length; start = ends[word++]) {
    longest = Math.max(longest, ends[word] - start);
  }
  const lists = new PieceLists(pairs, counts, lengths, characters);
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
    const token = tokens[left] + tokens[right].slice(2);
    // Two ways may lead to the same token.
    const merged = ids.get(token) ?? tokens.length;
    if (merged === tokens.length) {
      tokens.push(token);
      ids.set(token, merged);
      lengths.push(lengths[left] + lengths[right]);
      if (merged % 256 === 0) onProgress(merged);
    }
    risen.length = 0;
    lists.merge(pair, merged, (pair) => risen.push(pair));
    for (const pair of risen) queue.push(pair);
  }
}
