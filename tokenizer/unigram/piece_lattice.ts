/**
 * All the ways to write words in pieces: expectations over them (the forward–backward algorithm) and the best one
 * (Viterbi's). Probabilities are numbers, not logarithms: every character of a piece brings a factor that keeps products in
 * range, and every way to write a word has the same characters. Used by the trainer.
 */

import { grown } from "../word_table.ts";
import { LONGEST_STRETCH } from "./coded_words.ts";
import { powerOfTwo } from "./exact_math.ts";
import { LONGEST_PIECE, type Pieces } from "./seeds.ts";

/** Bits by which the probability of a piece is raised for each of its characters. */
const BITS_PER_CHARACTER = 5;

/** Pieces as a trie, with what they weigh. */
export class PieceLattice {
  readonly #alphabet: number;
  /** Raised probability of every piece. */
  #raised = new Float64Array();
  /** Three numbers an edge: node, character, node it leads to (0 where the slot is free). */
  #slots = new Int32Array(3 << 10);
  #nodes = 0;
  /** The piece at each node plus one, or 0. The characters of the alphabet are the first nodes and the first pieces. */
  #pieceAt = new Int32Array(1 << 10);
  // Of the word in progress: pieces that begin at each place, end to end, and where they lead.
  readonly #first = new Int32Array(LONGEST_STRETCH + 1);
  readonly #piece = new Int32Array(LONGEST_STRETCH * LONGEST_PIECE);
  readonly #to = new Int32Array(LONGEST_STRETCH * LONGEST_PIECE);
  readonly #forward = new Float64Array(LONGEST_STRETCH + 1);
  readonly #backward = new Float64Array(LONGEST_STRETCH + 1);
  readonly #from = new Int32Array(LONGEST_STRETCH + 1);
  readonly #last = new Int32Array(LONGEST_STRETCH + 1);

  /** @param alphabet how many characters there are: the first pieces. */
  constructor(alphabet: number) {
    this.#alphabet = alphabet;
    if (this.#pieceAt.length <= alphabet) this.#pieceAt = new Int32Array(2 * alphabet);
  }

  /** Takes pieces, whose weights are probabilities, for those that it had. The room of those serves again. */
  load({ codes, ends, weights }: Pieces): void {
    this.#slots.fill(0);
    this.#pieceAt.fill(0);
    if (this.#raised.length < ends.length) this.#raised = new Float64Array(ends.length);
    this.#nodes = this.#alphabet + 1;
    for (let piece = 0, start = 0; piece < ends.length; start = ends[piece++]) {
      this.#raised[piece] = weights[piece] * powerOfTwo(BITS_PER_CHARACTER * (ends[piece] - start));
      let node = codes[start] + 1;
      for (let i = start + 1; i < ends[piece]; i++) node = this.#child(node, codes[i]);
      this.#pieceAt[node] = piece + 1;
    }
  }

  /** The node that an edge leads to, which is made if it is not there. */
  #child(node: number, code: number): number {
    const mask = this.#slots.length / 3 - 1;
    let slot = slotOf(node, code) & mask;
    for (; this.#slots[3 * slot + 2] !== 0; slot = (slot + 1) & mask) {
      if (this.#slots[3 * slot] === node && this.#slots[3 * slot + 1] === code) return this.#slots[3 * slot + 2];
    }
    const child = this.#nodes++;
    this.#slots[3 * slot] = node;
    this.#slots[3 * slot + 1] = code;
    this.#slots[3 * slot + 2] = child;
    if (child >= this.#pieceAt.length) this.#pieceAt = grown(this.#pieceAt, 2 * child);
    if (2 * this.#nodes > mask) this.#spread();
    return child;
  }

  #spread(): void {
    const old = this.#slots, slots = this.#slots = new Int32Array(2 * old.length);
    const mask = slots.length / 3 - 1;
    for (let i = 0; i < old.length; i += 3) {
      if (old[i + 2] === 0) continue;
      let slot = slotOf(old[i], old[i + 1]) & mask;
      while (slots[3 * slot + 2] !== 0) slot = (slot + 1) & mask;
      for (let k = 0; k < 3; k++) slots[3 * slot + k] = old[i + k];
    }
  }

  /** Finds every piece in the word `codes[start..end)`. */
  #find(codes: Int32Array, start: number, end: number): void {
    const slots = this.#slots, mask = slots.length / 3 - 1, pieceAt = this.#pieceAt;
    const first = this.#first, piece = this.#piece, to = this.#to;
    let edges = 0;
    for (let at = start; at < end; at++) {
      first[at - start] = edges;
      let node = codes[at] + 1;
      for (let i = at + 1;; i++) {
        const found = pieceAt[node];
        if (found !== 0) {
          piece[edges] = found - 1;
          to[edges++] = i - start;
        }
        if (i === end) break;
        const code = codes[i];
        let slot = slotOf(node, code) & mask, next = slots[3 * slot + 2];
        while (next !== 0 && (slots[3 * slot] !== node || slots[3 * slot + 1] !== code)) {
          slot = (slot + 1) & mask;
          next = slots[3 * slot + 2];
        }
        if (next === 0) break;
        node = next;
      }
    }
    first[end - start] = edges;
  }

  /**
   * Adds how often each piece is expected in the word, of which there are `count`, in whole units of 1 / `scale`: sums of
   * whole numbers do not depend on their order.
   */
  expect(codes: Int32Array, start: number, end: number, count: number, scale: number, out: Float64Array): void {
    this.#find(codes, start, end);
    const length = end - start, first = this.#first, piece = this.#piece, to = this.#to, raised = this.#raised;
    const forward = this.#forward.fill(0, 0, length + 1), backward = this.#backward;
    forward[0] = 1;
    for (let at = 0; at < length; at++) {
      const here = forward[at];
      for (let edge = first[at], after = first[at + 1]; edge < after; edge++) {
        forward[to[edge]] += here * raised[piece[edge]];
      }
    }
    const factor = count * scale / forward[length];
    backward[length] = 1;
    for (let at = length - 1; at >= 0; at--) {
      const here = forward[at] * factor;
      let sum = 0;
      for (let edge = first[at], after = first[at + 1]; edge < after; edge++) {
        const way = raised[piece[edge]] * backward[to[edge]];
        sum += way;
        out[piece[edge]] += Math.floor(here * way + 0.5);
      }
      backward[at] = sum;
    }
  }

  /**
   * The best way to write `codes[start..end)`: the pieces are in `out`, the last one first; returns how many there are. With
   * `whole` false, the text itself is no piece; 0 if there is no other way.
   */
  best(codes: Int32Array, start: number, end: number, out: Int32Array, whole = true): number {
    this.#find(codes, start, end);
    const length = end - start, first = this.#first, piece = this.#piece, to = this.#to, raised = this.#raised;
    const score = this.#forward.fill(0, 0, length + 1), from = this.#from, last = this.#last;
    score[0] = 1;
    for (let at = 0; at < length; at++) {
      for (let edge = first[at], after = first[at + 1]; edge < after; edge++) {
        if (!whole && to[edge] - at === length) continue;
        const way = score[at] * raised[piece[edge]];
        if (way <= score[to[edge]]) continue;
        score[to[edge]] = way;
        from[to[edge]] = at;
        last[to[edge]] = piece[edge];
      }
    }
    if (score[length] === 0) return 0;
    let count = 0;
    for (let at = length; at > 0; at = from[at]) out[count++] = last[at];
    return count;
  }

  /** Whether a piece is likelier as itself than as other pieces, which `best` has put into `out`. */
  isBest(piece: number, others: Int32Array, count: number): boolean {
    let way = 1;
    for (let i = count - 1; i >= 0; i--) way *= this.#raised[others[i]];
    return this.#raised[piece] >= way;
  }
}

function slotOf(node: number, code: number): number {
  return Math.imul(Math.imul(node, 0x9E3779B1) ^ code, 0x85EBCA6B) >>> 7;
}
