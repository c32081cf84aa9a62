/**
 * Learns a WordPiece vocabulary by the merge rule of Hugging Face's `WordPieceTrainer`: the most frequent pair of
 * neighbouring pieces becomes a piece, again and again. Unlike it, the result is a pure function of the counted words:
 * everything is sorted, ties go to the pair with the smaller ids. Used by the commands.
 */

import type { NormalizerOptions } from "./pre_tokenizer.ts";
import { SPECIAL_TOKENS } from "./tokenizer.ts";
import { WordCounter, type WordCounts } from "./word_counter.ts";

/** What to learn. */
export interface TrainerOptions {
  /** Pairs that are rarer are not merged. */
  min_frequency?: number;
  /** Most characters that are tokens of their own; Hangul alone has 11,172 syllables, of which a text uses some 2,500. */
  limit_alphabet?: number;
  normalizer?: Partial<NormalizerOptions>;
  /** Told now and then how far it is: tokens so far. */
  onProgress?: (tokens: number) => void;
}

/** Words whose characters and pairs are counted together. */
export class VocabularyTrainer {
  readonly #options: Required<Omit<TrainerOptions, "normalizer" | "onProgress">>;
  readonly #onProgress: (tokens: number) => void;
  readonly #counter: WordCounter;

  constructor(options: TrainerOptions = {}) {
    const { min_frequency = 2, limit_alphabet = 6000, normalizer, onProgress = () => {} } = options;
    this.#options = { min_frequency, limit_alphabet };
    this.#counter = new WordCounter(normalizer);
    this.#onProgress = onProgress;
  }

  /** Counts the words of a text. */
  add(text: string): void {
    this.#counter.add(text);
  }

  /** Adds the words that a `WordCounter` with the same normalizer has counted. */
  merge(counts: WordCounts): void {
    this.#counter.merge(counts);
  }

  /** Distinct words so far. */
  get words(): number {
    return this.#counter.size;
  }

  /**
   * At most `vocab_size` tokens: special ones first, then characters in code point order, then merges in the order they
   * were made; fewer if the text has no more pairs.
   */
  train(vocab_size: number): string[] {
    const { min_frequency, limit_alphabet } = this.#options;
    const counts = new Map<string, number>();
    const { bytes, ends, counts: times } = this.#counter.words;
    ends.forEach((end, i) => counts.set(decoder.decode(bytes.slice(i === 0 ? 0 : ends[i - 1], end)), times[i]));
    const words = [...counts.keys()].sort();
    const alphabet = alphabetOf(words, counts, limit_alphabet);
    const pieces = new Pieces([...SPECIAL_TOKENS]);
    for (const character of alphabet) pieces.idOf(character);
    const kept = new Set(alphabet);
    const continuing = new Set<string>();
    for (const word of words) {
      for (const character of Array.from(word).slice(1)) if (kept.has(character)) continuing.add(`##${character}`);
    }
    for (const token of [...continuing].sort(byCodePoint)) pieces.idOf(token);

    const corpus = new Corpus(words, counts, kept, pieces);
    const heap = new PairHeap(corpus.pairCounts);
    while (pieces.tokens.length < vocab_size) {
      const best = heap.pop();
      if (best === undefined || best.count < Math.max(1, min_frequency)) break;
      const [left, right] = [Math.floor(best.pair / PAIR), best.pair % PAIR];
      const token = pieces.tokens[left] + pieces.tokens[right].replace(/^##/, "");
      corpus.merge(left, right, pieces.idOf(token), heap);
      if (pieces.tokens.length % 256 === 0) this.#onProgress(pieces.tokens.length);
    }
    // An alphabet larger than the vocabulary is cut like everything else: from the end.
    return pieces.tokens.slice(0, Math.max(vocab_size, SPECIAL_TOKENS.length));
  }
}

const decoder = new TextDecoder();

function alphabetOf(words: string[], wordCounts: Map<string, number>, limit: number): string[] {
  const counts = new Map<string, number>();
  for (const word of words) {
    const count = wordCounts.get(word)!;
    for (const character of word) counts.set(character, (counts.get(character) ?? 0) + count);
  }
  const frequent = [...counts].sort((a, b) => b[1] - a[1] || byCodePoint(a[0], b[0])).slice(0, limit);
  return frequent.map(([character]) => character).sort(byCodePoint);
}

function byCodePoint(a: string, b: string): number {
  const [x, y] = [Array.from(a, (c) => c.codePointAt(0)!), Array.from(b, (c) => c.codePointAt(0)!)];
  for (let i = 0; i < Math.min(x.length, y.length); i++) if (x[i] !== y[i]) return x[i] - y[i];
  return x.length - y.length;
}

/** Ids are below this, so that a pair of them is one exact number. */
const PAIR = 2 ** 24;

class Pieces {
  readonly tokens: string[] = [];
  readonly #ids = new Map<string, number>();

  constructor(tokens: string[]) {
    tokens.forEach((token) => this.idOf(token));
  }

  /** The id of a token, which becomes one if it is none yet. */
  idOf(token: string): number {
    let id = this.#ids.get(token);
    if (id === undefined) {
      this.#ids.set(token, id = this.tokens.length);
      this.tokens.push(token);
    }
    return id;
  }
}

/** All distinct words as pieces, and for every pair of neighbours how often and in which words it occurs. */
class Corpus {
  readonly pairCounts = new Map<number, number>();
  readonly #pairWords = new Map<number, number[]>();
  /** Pieces of all words end to end; a word shrinks in its place. */
  readonly #symbols: Int32Array;
  readonly #starts: Int32Array;
  readonly #lengths: Int32Array;
  readonly #counts: Float64Array;

  constructor(words: string[], counts: Map<string, number>, alphabet: Set<string>, pieces: Pieces) {
    const symbols: number[] = [];
    this.#starts = new Int32Array(words.length);
    this.#lengths = new Int32Array(words.length);
    this.#counts = new Float64Array(words.length);
    words.forEach((word, w) => {
      this.#starts[w] = symbols.length;
      this.#counts[w] = counts.get(word)!;
      let first = true;
      for (const character of word) {
        // A character outside the alphabet is passed over, as Hugging Face's trainer does.
        if (alphabet.has(character)) symbols.push(pieces.idOf(first ? character : `##${character}`));
        first = false;
      }
      this.#lengths[w] = symbols.length - this.#starts[w];
    });
    this.#symbols = Int32Array.from(symbols);
    for (let w = 0; w < words.length; w++) {
      for (let i = this.#starts[w], end = i + this.#lengths[w] - 1; i < end; i++) {
        this.#count(this.#symbols[i] * PAIR + this.#symbols[i + 1], this.#counts[w], w);
      }
    }
  }

  #count(pair: number, count: number, word: number): void {
    this.pairCounts.set(pair, (this.pairCounts.get(pair) ?? 0) + count);
    const words = this.#pairWords.get(pair);
    if (words === undefined) this.#pairWords.set(pair, [word]);
    else if (words[words.length - 1] !== word) words.push(word);
  }

  /** Replaces the pair by one piece in every word that has it. */
  merge(left: number, right: number, merged: number, heap: PairHeap): void {
    const pair = left * PAIR + right;
    const words = this.#pairWords.get(pair) ?? [];
    this.#pairWords.delete(pair);
    this.pairCounts.delete(pair);
    const changed = new Set<number>();
    const symbols = this.#symbols;
    let seen = -1;
    for (const w of words.sort((a, b) => a - b)) {
      if (w === seen) continue;
      seen = w;
      const start = this.#starts[w];
      const count = this.#counts[w];
      let end = start + this.#lengths[w];
      for (let i = start; i + 1 < end; i++) {
        if (symbols[i] !== left || symbols[i + 1] !== right) continue;
        if (i > start) {
          const before = symbols[i - 1];
          this.#less(before * PAIR + left, count, changed);
          this.#count(before * PAIR + merged, count, w);
          changed.add(before * PAIR + merged);
        }
        if (i + 2 < end) {
          const after = symbols[i + 2];
          this.#less(right * PAIR + after, count, changed);
          this.#count(merged * PAIR + after, count, w);
          changed.add(merged * PAIR + after);
        }
        symbols[i] = merged;
        symbols.copyWithin(i + 1, i + 2, end);
        end--;
      }
      this.#lengths[w] = end - start;
    }
    for (const pair of changed) {
      const count = this.pairCounts.get(pair) ?? 0;
      if (count > 0) heap.push(pair, count);
    }
  }

  #less(pair: number, count: number, changed: Set<number>): void {
    const left = this.pairCounts.get(pair);
    if (left === undefined) return; // the pair that is being merged
    this.pairCounts.set(pair, left - count);
    changed.add(pair);
  }
}

/** Pairs by count, the smaller pair first where equal. Entries whose count has changed are passed over when popped. */
class PairHeap {
  readonly #counts: Map<number, number>;
  readonly #heap: { pair: number; count: number }[] = [];

  constructor(counts: Map<number, number>) {
    this.#counts = counts;
    for (const [pair, count] of counts) this.push(pair, count);
  }

  push(pair: number, count: number): void {
    const heap = this.#heap;
    const entry = { pair, count };
    let i = heap.length;
    heap.push(entry);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!isBefore(entry, heap[parent])) break;
      heap[i] = heap[parent];
      i = parent;
    }
    heap[i] = entry;
  }

  pop(): { pair: number; count: number } | undefined {
    for (;;) {
      const top = this.#take();
      if (top === undefined || this.#counts.get(top.pair) === top.count) return top;
    }
  }

  #take(): { pair: number; count: number } | undefined {
    const heap = this.#heap;
    const top = heap[0];
    const entry = heap.pop();
    if (entry === undefined || heap.length === 0) return top;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++;
      if (!isBefore(heap[child], entry)) break;
      heap[i] = heap[child];
      i = child;
    }
    heap[i] = entry;
    return top;
  }
}

function isBefore(a: { pair: number; count: number }, b: { pair: number; count: number }): boolean {
  return a.count > b.count || (a.count === b.count && a.pair < b.pair);
}
