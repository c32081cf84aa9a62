/**
 * All distinct words as pieces end to end, and for every pair of neighbouring pieces the list of its places, so that a
 * merge touches the places of its pair and nothing else. Used by the vocabulary trainer.
 *
 * A place is a character, or a byte. A piece stands at the place of its first character; the place of its last one holds minus its
 * length, so that its neighbour on either side is found at once. Lists run through the places themselves: a place begins
 * at most one pair.
 */

import type { PairTable } from "./pair_table.ts";

// Four numbers a place.
const PIECE = 0;
const NEXT = 1;
const PREVIOUS = 2;
const WORD = 3;
const STRIDE = 4;

/** The piece of the place between two words. */
const BOUNDARY = -(2 ** 31);

/** Words as pieces. */
export class PieceLists {
  readonly #pairs: PairTable;
  readonly #counts: Float64Array;
  /** Characters of each piece. */
  readonly #lengths: number[];
  readonly #places: Int32Array;
  #size = 0;

  /**
   * Room for words of `characters` characters in all. `counts` says how often each word occurs, `lengths` how many
   * characters each piece has; the latter may grow.
   */
  constructor(pairs: PairTable, counts: Float64Array, lengths: number[], characters: number) {
    this.#places = new Int32Array(STRIDE * (characters + counts.length + 1));
    this.#pairs = pairs;
    this.#counts = counts;
    this.#lengths = lengths;
    this.#append(BOUNDARY, -1);
  }

  /** Adds a word: the first `length` of `pieces`. */
  add(word: number, pieces: Int32Array, length: number): void {
    if (length < 2) return; // no pair in it
    let place = this.#size;
    for (let i = 0; i < length; i++) {
      const characters = this.#lengths[pieces[i]];
      this.#append(pieces[i], word);
      for (let k = 2; k < characters; k++) this.#append(-1, word);
      if (characters > 1) this.#append(-characters, word);
    }
    this.#append(BOUNDARY, -1);
    for (let i = 0; i + 1 < length; i++) {
      this.#link(this.#pairs.findOrAdd(pieces[i], pieces[i + 1]), place);
      place += this.#lengths[pieces[i]];
    }
  }

  #append(piece: number, word: number): void {
    const at = STRIDE * this.#size++;
    this.#places[at + PIECE] = piece;
    this.#places[at + WORD] = word;
  }

  /** Puts a place into the list of its pair. */
  #link(pair: number, place: number): void {
    const places = this.#places, heads = this.#pairs.heads;
    const at = STRIDE * place, head = heads[pair];
    places[at + NEXT] = head;
    places[at + PREVIOUS] = -1;
    if (head >= 0) places[STRIDE * head + PREVIOUS] = place;
    heads[pair] = place;
    this.#pairs.counts[pair] += this.#counts[places[at + WORD]];
  }

  /** Takes a place out of the list of its pair. */
  #unlink(pair: number, place: number): void {
    const places = this.#places;
    const at = STRIDE * place, next = places[at + NEXT], previous = places[at + PREVIOUS];
    if (previous >= 0) places[STRIDE * previous + NEXT] = next;
    else this.#pairs.heads[pair] = next;
    if (next >= 0) places[STRIDE * next + PREVIOUS] = previous;
    this.#pairs.counts[pair] -= this.#counts[places[at + WORD]];
  }

  /** Makes one piece, `merged`, of a pair wherever it stands; calls `risen` with the pairs that this adds to. */
  merge(pair: number, merged: number, risen: (pair: number) => void): void {
    const left = this.#pairs.left(pair), right = this.#pairs.right(pair);
    if (left === right) {
      // Places may overlap ("aaa"): from the left to the right, those that are still there.
      const all = [];
      for (let place = this.#pairs.heads[pair]; place >= 0; place = this.#places[STRIDE * place + NEXT]) {
        all.push(place);
      }
      for (const place of all.sort((a, b) => a - b)) {
        if (this.#places[STRIDE * place] === left && this.#pieceAfter(place) === right) {
          this.#unlink(pair, place);
          this.#mergeAt(place, left, right, merged, risen);
        }
      }
    } else {
      for (let place = this.#pairs.heads[pair]; place >= 0;) {
        const next = this.#places[STRIDE * place + NEXT];
        this.#mergeAt(place, left, right, merged, risen);
        place = next;
      }
    }
    this.#pairs.counts[pair] = 0;
    this.#pairs.heads[pair] = -1;
  }

  #pieceAfter(place: number): number {
    return this.#places[STRIDE * (place + this.#lengths[this.#places[STRIDE * place]])];
  }

  #mergeAt(place: number, left: number, right: number, merged: number, risen: (pair: number) => void): void {
    const places = this.#places, pairs = this.#pairs;
    const second = place + this.#lengths[left];
    const after = second + this.#lengths[right];
    const following = places[STRIDE * after];
    let before = place - 1, preceding = places[STRIDE * before];
    if (preceding < 0 && preceding !== BOUNDARY) {
      before = place + preceding;
      preceding = places[STRIDE * before];
    }
    if (preceding !== BOUNDARY) this.#unlink(pairs.findOrAdd(preceding, left), before);
    if (following !== BOUNDARY) this.#unlink(pairs.findOrAdd(right, following), second);
    places[STRIDE * place] = merged;
    places[STRIDE * second] = -1; // no piece begins here any more
    places[STRIDE * (after - 1)] = place - after;
    if (preceding !== BOUNDARY) {
      const pair = pairs.findOrAdd(preceding, merged);
      this.#link(pair, before);
      risen(pair);
    }
    if (following !== BOUNDARY) {
      const pair = pairs.findOrAdd(merged, following);
      this.#link(pair, place);
      risen(pair);
    }
  }
}
