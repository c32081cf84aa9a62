/**
 * A word → pieces by the unigram language model (Kudo, 2018): of all the ways to write it in pieces, the one of the largest
 * sum of scores, found by Viterbi's algorithm in f64 and in the order of `tokenizers`, so that ties go the same way. Used by
 * the tokenizer.
 */

import type { IdBuffer } from "../id_buffer.ts";
import type { SubwordModel } from "../subword_model.ts";
import { Trie } from "../wordpiece/trie.ts";
import { widthOf } from "../utf8.ts";

/** What a unigram language model is beside its pieces. */
export interface UnigramData {
  type: "Unigram";
  /** Log-probabilities of the pieces. */
  scores: Float64Array<ArrayBuffer>;
  /** The id of the unknown piece. */
  unk_id: number;
  /** Whether an unknown character is written in bytes, `<0xEA>` and so on, where each of them is a piece. */
  byte_fallback: boolean;
}

/** How much less an unknown character scores than the least of the pieces. */
const UNK_PENALTY = 10;

/** The pieces, ready for matching. */
export class UnigramModel implements SubwordModel {
  readonly #trie: Trie;
  readonly #scores: Float64Array;
  readonly #unk: number;
  readonly #unkScore: number;
  /** The ids of `<0x00>` … `<0xFF>`, where unknown characters are written in bytes; -1 for none. */
  readonly #bytes: Int32Array | undefined;
  // Of the best way to each place: its score, where its last piece begins, and that piece's id, or -1.
  #best = new Float64Array(1 << 8);
  #from = new Int32Array(1 << 8);
  #id = new Int32Array(1 << 8);
  /** The pieces of the word in progress, the last one first: where each ends, and its id. */
  #path: number[] = [];

  /**
   * @param scores log-probabilities of the pieces
   * @param unk the id of the unknown piece
   * @param own what no word is written with, whatever it scores
   */
  constructor(
    pieces: readonly string[],
    scores: ArrayLike<number>,
    unk: number,
    byte_fallback: boolean,
    own: ReadonlySet<string> = new Set(),
  ) {
    this.#trie = new Trie(pieces.map((piece) => own.has(piece) ? "" : piece), [""]);
    this.#scores = Float64Array.from(scores);
    this.#unk = unk;
    let least = Infinity;
    for (const score of this.#scores) if (score < least) least = score;
    this.#unkScore = least - UNK_PENALTY;
    const bytes = byte_fallback ? new Int32Array(256).fill(-1) : undefined;
    pieces.forEach((piece, id) => {
      const byte = bytes && /^<0x([0-9A-F]{2})>$/.exec(piece);
      if (byte) bytes[parseInt(byte[1], 16)] = id;
    });
    this.#bytes = bytes;
  }

  /**
   * Appends the ids of the pieces of the word `bytes[start..end)`, and to `ends` where each piece ends; the bytes of an
   * unknown text all end with it.
   */
  match(bytes: Uint8Array, start: number, end: number, out: IdBuffer, ends?: number[]): void {
    this.#search(bytes, start, end);
    const id = this.#id, from = this.#from, path = this.#path, unk = this.#unk;
    path.length = 0;
    for (let at = end; at > start;) {
      const last = at;
      let piece = id[at - start];
      at = start + from[at - start];
      if (piece === unk) {
        // Unknown ones beside each other are one, which may happen to be a piece.
        while (at > start && id[at - start] === unk) at = start + from[at - start];
        piece = this.#pieceIs(bytes, at, last);
      }
      path.push(last, at, piece);
    }
    for (let i = path.length - 3; i >= 0; i -= 3) this.#put(bytes, path[i + 1], path[i], path[i + 2], out, ends);
  }

  /** The score of the best way to write `bytes[start..end)`. */
  scoreOf(bytes: Uint8Array, start: number, end: number): number {
    this.#search(bytes, start, end);
    return this.#best[end - start];
  }

  /** Fills in the best way to each place of `bytes[start..end)`. */
  #search(bytes: Uint8Array, start: number, end: number): void {
    const length = end - start + 1;
    if (length > this.#best.length) {
      this.#best = new Float64Array(2 * length);
      this.#from = new Int32Array(2 * length);
      this.#id = new Int32Array(2 * length);
    }
    const best = this.#best, from = this.#from, ids = this.#id, trie = this.#trie, scores = this.#scores;
    const { ends, ids: pieces } = trie;
    ids.fill(-1, 0, length);
    best[0] = 0;
    for (let at = start; at < end;) {
      const here = at - start, before = best[here], next = at + widthOf(bytes[at]);
      const found = trie.prefixes(0, bytes, at, end);
      for (let k = 0; k < found; k++) {
        const to = ends[k] - start, score = scores[pieces[k]] + before;
        if (ids[to] < 0 || score > best[to]) {
          best[to] = score;
          from[to] = here;
          ids[to] = pieces[k];
        }
      }
      if (found === 0 || ends[0] !== next) {
        const to = next - start, score = this.#unkScore + before;
        if (ids[to] < 0 || score > best[to]) {
          best[to] = score;
          from[to] = here;
          ids[to] = this.#unk;
        }
      }
      at = next;
    }
  }

  /** The id of the piece `bytes[start..end)`, or -1. */
  #pieceIs(bytes: Uint8Array, start: number, end: number): number {
    const found = this.#trie.prefixes(0, bytes, start, end);
    return found > 0 && this.#trie.ends[found - 1] === end ? this.#trie.ids[found - 1] : -1;
  }

  /** Appends a piece; of one that is unknown (-1) its bytes, where each of them is a piece, or else the unknown one. */
  #put(bytes: Uint8Array, start: number, end: number, id: number, out: IdBuffer, ends?: number[]): void {
    const ids = this.#bytes;
    if (id >= 0 || ids === undefined || bytes.subarray(start, end).some((byte) => ids[byte] < 0)) {
      out.push(id < 0 ? this.#unk : id);
      ends?.push(end);
      return;
    }
    for (let i = start; i < end; i++) {
      out.push(ids[bytes[i]]);
      ends?.push(end);
    }
  }
}
