/**
 * The pieces that the trainer begins with: the substrings of the words that cover most of the text. Used by the trainer.
 *
 * Substrings are counted by their lengths: one of n characters is a pair of neighbours of n - 1, and only those are looked
 * at of which both parts occur twice. So memory follows the number of substrings that occur twice, not their length.
 */

import type { CodedWords } from "./coded_words.ts";
import { grown } from "../word_table.ts";

/** Pieces have at most so many characters, as in Hugging Face's trainer. */
export const LONGEST_PIECE = 16;

/** Pieces with weights: characters of the alphabet, then longer ones. */
export interface Pieces {
  /** Their characters, as places in the alphabet, end to end. */
  codes: Int32Array;
  /** Where each ends. */
  ends: Uint32Array;
  weights: Float64Array;
}

/** Numbers pairs of numbers in the order in which they come, and sums their weights. */
class PairNumbers {
  /** Three numbers a slot: the pair, and its number plus one; 0 where the slot is free. */
  #slots = new Int32Array(3 << 12);
  #size = 0;
  weights = new Float64Array(1 << 11);
  /** Where a pair was seen first. */
  places = new Int32Array(1 << 11);

  get size(): number {
    return this.#size;
  }

  /** Forgets the pairs; keeps the room they took, so that the next ones need no other. */
  clear(): void {
    this.#slots.fill(0);
    this.#size = 0;
  }

  /** The pair's number. */
  add(a: number, b: number, weight: number, place: number): number {
    const slots = this.#slots, mask = slots.length / 3 - 1;
    let slot = (Math.imul(Math.imul(a, 0x9E3779B1) ^ b, 0x85EBCA6B) >>> 7) & mask;
    for (;; slot = (slot + 1) & mask) {
      const at = 3 * slot, number = slots[at + 2] - 1;
      if (number < 0) break;
      if (slots[at] === a && slots[at + 1] === b) {
        this.weights[number] += weight;
        return number;
      }
    }
    const number = this.#size++;
    if (number === this.weights.length) {
      this.weights = grown(this.weights, number + 1);
      this.places = grown(this.places, number + 1);
    }
    slots[3 * slot] = a;
    slots[3 * slot + 1] = b;
    slots[3 * slot + 2] = number + 1;
    this.weights[number] = weight;
    this.places[number] = place;
    if (2 * this.#size > mask) this.#spread();
    return number;
  }

  #spread(): void {
    const old = this.#slots, slots = this.#slots = new Int32Array(2 * old.length);
    const mask = slots.length / 3 - 1;
    for (let i = 0; i < old.length; i += 3) {
      if (old[i + 2] === 0) continue;
      let slot = (Math.imul(Math.imul(old[i], 0x9E3779B1) ^ old[i + 1], 0x85EBCA6B) >>> 7) & mask;
      while (slots[3 * slot + 2] !== 0) slot = (slot + 1) & mask;
      slots.set(old.subarray(i, i + 3), 3 * slot);
    }
  }
}

/** Substrings of one length that occur twice, in lists side by side. */
interface Level {
  length: number;
  places: Int32Array;
  weights: Float64Array;
  /** 1 where a longer substring occurs as often, so that the text never needs this one. */
  covered: Uint8Array;
}

/**
 * The alphabet, and some `size` of the longer substrings, of the largest frequency times length. The same for the same
 * words in any order: of substrings that weigh the same all are taken, or none.
 */
export function seedPieces(words: CodedWords, size: number): Pieces {
  const levels = substringLevels(words);
  const total = levels.reduce((sum, { places }) => sum + places.length, 0);
  const scores = new Float64Array(total);
  let count = 0;
  for (const { length, weights, covered } of levels) {
    for (let i = 0; i < weights.length; i++) if (covered[i] === 0) scores[count++] = length * weights[i];
  }
  const sorted = scores.slice(0, count).sort();
  const least = count > size ? sorted[count - size - 1] : -1;
  const alphabet = words.frequencies.length;
  let pieces = alphabet, characters = alphabet;
  const taken = (level: Level, i: number) => level.covered[i] === 0 && level.length * level.weights[i] > least;
  for (const level of levels) {
    for (let i = 0; i < level.places.length; i++) {
      if (!taken(level, i)) continue;
      pieces++;
      characters += level.length;
    }
  }
  const codes = new Int32Array(characters), ends = new Uint32Array(pieces), weights = new Float64Array(pieces);
  for (let i = 0; i < alphabet; i++) {
    codes[i] = i;
    ends[i] = i + 1;
    weights[i] = words.frequencies[i];
  }
  let piece = alphabet, at = alphabet;
  for (const level of levels) {
    for (let i = 0; i < level.places.length; i++) {
      if (!taken(level, i)) continue;
      codes.set(words.codes.subarray(level.places[i], level.places[i] + level.length), at);
      ends[piece] = at += level.length;
      weights[piece++] = level.length * level.weights[i];
    }
  }
  return { codes, ends, weights };
}

/** Substrings of two characters and more that occur twice, by their lengths. */
function substringLevels({ codes, ends, counts, frequencies }: CodedWords): Level[] {
  const levels: Level[] = [];
  // The substring of the last length that begins at each place: its number plus one, or 0.
  let groups = Int32Array.from(codes, (code) => frequencies[code] > 1 ? code + 1 : 0);
  let next = new Int32Array(groups.length);
  const pairs = new PairNumbers();
  for (let length = 2; length <= LONGEST_PIECE; length++) {
    const before = levels.at(-1);
    pairs.clear();
    next.fill(0);
    for (let word = 0, start = 0; word < ends.length; start = ends[word++]) {
      for (let i = start; i + length <= ends[word]; i++) {
        const a = groups[i], b = groups[i + 1];
        if (a !== 0 && b !== 0) next[i] = pairs.add(a, b, counts[word], i) + 1;
      }
    }
    const numbers = new Int32Array(pairs.size + 1);
    let kept = 0;
    for (let pair = 0; pair < pairs.size; pair++) if (pairs.weights[pair] > 1) numbers[pair + 1] = ++kept;
    if (kept === 0) break;
    const level = {
      length,
      places: new Int32Array(kept),
      weights: new Float64Array(kept),
      covered: new Uint8Array(kept),
    };
    for (let pair = 0; pair < pairs.size; pair++) {
      const number = numbers[pair + 1] - 1;
      if (number < 0) continue;
      const place = pairs.places[pair], weight = pairs.weights[pair];
      level.places[number] = place;
      level.weights[number] = weight;
      if (before === undefined) continue;
      for (const part of [groups[place] - 1, groups[place + 1] - 1]) {
        if (before.weights[part] === weight) before.covered[part] = 1;
      }
    }
    for (let i = 0; i < next.length; i++) next[i] = numbers[next[i]];
    [groups, next] = [next, groups];
    levels.push(level);
  }
  return levels;
}
