/**
 * Learns the pieces of a unigram language model from counted words (Kudo, 2018; as SentencePiece and Hugging Face's
 * `UnigramTrainer` do it): from many substrings, expectation–maximization and pruning by turns, until so many are left as
 * were asked for. Unlike there, the result is a pure function of the counted words, in any order and on any machine. Used by
 * the commands.
 */

import { Alphabet } from "../wordpiece/alphabet.ts";
import type { WordCounts } from "../word_counter.ts";
import { type CodedWords, codeWords } from "./coded_words.ts";
import { exactDigamma, exactExp, exactLog } from "./exact_math.ts";
import { PieceLattice } from "./piece_lattice.ts";
import { LONGEST_PIECE, type Pieces, seedPieces } from "./seeds.ts";

/** What to learn. */
export interface UnigramOptions {
  /** Most characters that are pieces of their own; see `Alphabet`. */
  limit_alphabet?: number | undefined;
  /** Told now and then how far it is, from 0 to 1. */
  onProgress?: (share: number) => void;
}

/** What was learned: pieces and their log-probabilities, the likeliest first. */
export interface UnigramVocabulary {
  pieces: string[];
  scores: number[];
}

/** Expectation–maximization steps between two prunings. */
const STEPS = 2;
/** What a pruning leaves, at least. */
const SHRINKING = 0.75;
/** Seeds for each piece that is asked for, at least `LEAST_SEEDS`. */
const SEEDS_PER_PIECE = 12;
const LEAST_SEEDS = 100_000;
/** Expected counts are whole multiples of 1 / SCALE: their sums are exact, so that the order of words changes no bit. */
const SCALE = 2 ** 16;
/** Pieces that are expected less often go. */
const LEAST_EXPECTED = 0.5;
/** Words after which it is told how far it is: often enough to stop at a person's word. */
const WORDS_TOLD = 1 << 15;
/** Digits of a score: so few that every program reads the same number. */
const DIGITS = 8;

/**
 * Learns at most `size` pieces; more if the alphabet is larger, which is never cut to fit.
 *
 * @param words counted, with whatever marks their beginnings
 */
export function trainUnigram(words: WordCounts, size: number, options: UnigramOptions = {}): UnigramVocabulary {
  const alphabet = new Alphabet(words, options.limit_alphabet).codes;
  const coded = codeWords(words, alphabet);
  const target = Math.max(size, alphabet.length);
  let pieces = normalized(seedPieces(coded, Math.max(LEAST_SEEDS, SEEDS_PER_PIECE * target)));
  const seeds = pieces.ends.length, lattice = new PieceLattice(alphabet.length);
  for (;;) {
    const share = Math.log(seeds / pieces.ends.length) / Math.log(seeds / target);
    const tell = () => options.onProgress?.(Math.min(share || 0, 1));
    const isLast = pieces.ends.length <= target, least = pieces.ends.length < target ? 0 : target;
    for (let step = 0; step < STEPS; step++) pieces = maximize(coded, lattice, pieces, least, tell);
    if (isLast) return vocabulary(pieces, alphabet);
    tell();
    pieces = prune(coded, lattice, pieces, Math.max(target, Math.floor(SHRINKING * pieces.ends.length)));
  }
}

/** Weights divided by their sum. */
function normalized({ weights, ...pieces }: Pieces): Pieces {
  const sum = weights.reduce((sum, weight) => sum + weight, 0);
  return { ...pieces, weights: weights.map((weight) => weight / sum) };
}

/**
 * One step of expectation–maximization, in its Bayesian form, in which rare pieces lose weight (Liang and Klein, 2007).
 * Pieces that are hardly expected go, unless they are characters, or fewer than `least` would stay.
 */
function maximize(
  words: CodedWords,
  lattice: PieceLattice,
  pieces: Pieces,
  least: number,
  tell: () => void,
): Pieces {
  const alphabet = words.frequencies.length;
  const expected = new Float64Array(pieces.ends.length);
  lattice.load(pieces);
  const { codes, ends, counts } = words;
  for (let word = 0, start = 0; word < ends.length; start = ends[word++]) {
    lattice.expect(codes, start, ends[word], counts[word], SCALE, expected);
    if (word % WORDS_TOLD === 0) tell();
  }
  let staying = 0;
  for (let piece = 0; piece < expected.length; piece++) {
    expected[piece] /= SCALE;
    if (piece < alphabet || expected[piece] >= LEAST_EXPECTED) staying++;
  }
  let sum = 0;
  for (let piece = 0; piece < expected.length; piece++) {
    const stays = piece < alphabet || staying < least;
    if (expected[piece] < LEAST_EXPECTED) expected[piece] = stays ? LEAST_EXPECTED : 0;
    sum += expected[piece];
  }
  const all = exactDigamma(sum);
  return selected(pieces, (piece) => expected[piece] > 0, (piece) => exactExp(exactDigamma(expected[piece]) - all));
}

/** The pieces that are kept, in the same order, with new weights. */
function selected(pieces: Pieces, keeps: (piece: number) => boolean, weigh: (piece: number) => number): Pieces {
  const { codes, ends } = pieces;
  const kept = { codes: new Int32Array(codes.length), ends: new Uint32Array(ends.length) };
  const weights = new Float64Array(ends.length);
  let count = 0, length = 0;
  for (let piece = 0, start = 0; piece < ends.length; start = ends[piece++]) {
    if (!keeps(piece)) continue;
    for (let i = start; i < ends[piece]; i++) kept.codes[length++] = codes[i];
    kept.ends[count] = length;
    weights[count++] = weigh(piece);
  }
  return {
    codes: kept.codes.slice(0, length),
    ends: kept.ends.slice(0, count),
    weights: weights.slice(0, count),
  };
}

/** Takes away the pieces without which the text is about as likely, until `size` are left. */
function prune(words: CodedWords, lattice: PieceLattice, pieces: Pieces, size: number): Pieces {
  const alphabet = words.frequencies.length, { ends } = pieces;
  const losses = lossesWithout(words, lattice, pieces);
  const order: number[] = [];
  for (let piece = alphabet; piece < ends.length; piece++) if (losses[piece] > 0) order.push(piece);
  order.sort((a, b) => losses[b] - losses[a] || compare(pieces, a, b));
  const kept = new Uint8Array(ends.length).fill(1, 0, alphabet);
  for (const piece of order.slice(0, size - alphabet)) kept[piece] = 1;
  return selected(pieces, (piece) => kept[piece] === 1, (piece) => pieces.weights[piece]);
}

/** How much less likely the text is without each piece, in nats a word; 0 for what its best writing does not need. */
function lossesWithout(words: CodedWords, lattice: PieceLattice, pieces: Pieces): Float64Array {
  const alphabet = words.frequencies.length;
  lattice.load(pieces);
  const frequencies = new Float64Array(pieces.ends.length), path = new Int32Array(LONGEST_PIECE);
  const { codes, ends, counts } = words;
  const long = new Int32Array(64);
  for (let word = 0, start = 0; word < ends.length; start = ends[word++]) {
    const length = lattice.best(codes, start, ends[word], long);
    for (let i = 0; i < length; i++) frequencies[long[i]] += counts[word];
  }
  const sum = frequencies.reduce((sum, frequency) => sum + frequency, 0), all = exactLog(sum);
  const losses = new Float64Array(pieces.ends.length);
  for (let piece = 0, start = 0; piece < pieces.ends.length; start = pieces.ends[piece++]) {
    const frequency = frequencies[piece];
    if (piece < alphabet || frequency === 0) continue;
    const others = lattice.best(pieces.codes, start, pieces.ends[piece], path, false);
    if (!lattice.isBest(piece, path, others)) continue;
    // What it stood for is written in the others, which are as many more.
    const allWithout = exactLog(sum + frequency * (others - 1));
    let without = 0;
    for (let i = 0; i < others; i++) without += exactLog(frequencies[path[i]] + frequency) - allWithout;
    losses[piece] = frequency / sum * (exactLog(frequency) - all - without);
  }
  return losses;
}

/** Order of pieces by their characters. */
function compare({ codes, ends }: Pieces, a: number, b: number): number {
  let i = a === 0 ? 0 : ends[a - 1], k = b === 0 ? 0 : ends[b - 1];
  while (i < ends[a] && k < ends[b] && codes[i] === codes[k]) {
    i++;
    k++;
  }
  if (i < ends[a] && k < ends[b]) return codes[i] - codes[k];
  return (ends[a] - i) - (ends[b] - k);
}

function vocabulary(pieces: Pieces, alphabet: readonly number[]): UnigramVocabulary {
  const { codes, ends, weights } = pieces;
  const scores = Array.from(weights, (weight) => Number(exactLog(weight).toFixed(DIGITS)));
  const order = Array.from(scores, (_, piece) => piece);
  order.sort((a, b) => scores[b] - scores[a] || compare(pieces, a, b));
  const text = (piece: number) =>
    String.fromCodePoint(
      ...Array.from(codes.subarray(piece === 0 ? 0 : ends[piece - 1], ends[piece]), (code) => alphabet[code]),
    );
  return { pieces: order.map(text), scores: order.map((piece) => scores[piece]) };
}
