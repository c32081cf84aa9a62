/**
 * A word → pieces by byte-pair encoding (Sennrich et al., 2016): of the neighbours that merge, those whose merge was learned
 * first, from the left, again and again; as `BPE` of Hugging Face's `tokenizers` does it. Used by the tokenizer.
 */

import type { IdBuffer } from "../id_buffer.ts";
import type { SubwordModel } from "../subword_model.ts";
import { codePointAt, widthOf } from "../utf8.ts";
import { grown } from "../word_table.ts";
import { BYTE_CHARACTERS, tokenOf } from "./byte_alphabet.ts";
import { MergeQueue } from "./merge_queue.ts";
import { MergeTable, NEVER } from "./merge_table.ts";

/** What tokenizer.json says of a BPE model, beside its vocabulary. */
export interface BpeData {
  type: "BPE";
  /** Three numbers a merge: the ids of a pair and of what it becomes, the first merge first. */
  merges: Int32Array<ArrayBuffer>;
  /** Whether words are bytes in GPT-2's alphabet, or code points. */
  byte_level: boolean;
  /** What stands for a byte or character without a token; without it, such are left out. */
  unk_token: string | null;
  /** Whether one of it stands for several in a row. */
  fuse_unk: boolean;
  /** Whether a character without a token becomes the tokens of its bytes, `<0x00>` … `<0xFF>`. */
  byte_fallback: boolean;
  /** Whether a word that is a token as a whole becomes that token, whatever the merges make of it. */
  ignore_merges: boolean;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Words of more symbols are merged through a queue, whose work is in proportion to n·log n; shorter ones by looking. */
const LONGEST_LOOKED_THROUGH = 48;

/** A vocabulary with its merges, ready to cut words. */
export class Bpe implements SubwordModel {
  readonly #merges: MergeTable;
  readonly #byteLevel: boolean;
  /** The ids of bytes, of `<0x00>` … `<0xFF>` or of bytes' characters, -1 where there is none. */
  readonly #bytes = new Int32Array(256).fill(-1);
  /** The rank of each pair of bytes that have tokens, at 256 times the first one plus the second. */
  readonly #bytePairs: Int32Array | undefined;
  /** The ids of single characters. */
  readonly #characters = new Map<number, number>();
  readonly #unk: number;
  readonly #fuseUnk: boolean;
  readonly #byteFallback: boolean;
  /** Whole words, where they may be tokens whatever the merges say. */
  readonly #whole: ReadonlyMap<string, number> | undefined;
  readonly #queue = new MergeQueue();
  // The symbols of the word in progress.
  #ids = new Int32Array(64);
  #ends = new Int32Array(64);
  #next = new Int32Array(64);
  #previous = new Int32Array(64);
  /** The rank of each symbol with the next one. */
  #ranks = new Int32Array(64);

  /** @param own special tokens of the tokenizer, which no word of a corpus is. */
  constructor(vocabulary: readonly string[], data: BpeData, own: ReadonlySet<string>) {
    this.#merges = new MergeTable(data.merges);
    this.#byteLevel = data.byte_level;
    this.#fuseUnk = data.fuse_unk;
    this.#byteFallback = data.byte_fallback && !data.byte_level;
    this.#unk = data.unk_token === null ? -1 : vocabulary.indexOf(data.unk_token);
    const ids = new Map(vocabulary.map((token, id) => [token, id]));
    for (let byte = 0; byte < 256; byte++) {
      const name = data.byte_level ? BYTE_CHARACTERS[byte] : `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
      this.#bytes[byte] = ids.get(name) ?? -1;
    }
    if (!data.byte_level) {
      for (const [token, id] of ids) {
        const code = token.codePointAt(0);
        if (code !== undefined && token.length === (code < 0x10000 ? 1 : 2)) this.#characters.set(code, id);
      }
    }
    if (data.byte_level && !this.#bytes.includes(-1)) this.#bytePairs = bytePairs(this.#bytes, this.#merges);
    if (data.ignore_merges) {
      for (const token of own) ids.delete(token);
      this.#whole = ids;
    }
  }

  match(bytes: Uint8Array, start: number, end: number, out: IdBuffer, ends?: number[]): void {
    if (this.#whole !== undefined) {
      const word = this.#byteLevel ? tokenOf(bytes, start, end) : decoder.decode(bytes.slice(start, end));
      const id = this.#whole.get(word);
      if (id !== undefined) {
        out.push(id);
        ends?.push(end);
        return;
      }
    }
    const length = this.#read(bytes, start, end);
    if (length === 0) return;
    if (length > LONGEST_LOOKED_THROUGH) this.#mergeQueued(length);
    else this.#mergeLooking();
    const ids = this.#ids, next = this.#next;
    for (let i = 0; i >= 0; i = next[i]) {
      out.push(ids[i]);
      ends?.push(this.#ends[i]);
    }
  }

  #reserve(length: number): void {
    if (length <= this.#ids.length) return;
    [this.#ids, this.#ends, this.#next, this.#previous, this.#ranks] = [
      this.#ids,
      this.#ends,
      this.#next,
      this.#previous,
      this.#ranks,
    ].map((array) => grown(array, length));
  }

  /** Makes symbols of a word, links them, and looks up which neighbours merge; returns how many there are. */
  #read(bytes: Uint8Array, start: number, end: number): number {
    if (this.#bytePairs !== undefined) return this.#readKnownBytes(bytes, start, end, this.#bytePairs);
    const length = this.#byteLevel ? this.#readBytes(bytes, start, end) : this.#readCharacters(bytes, start, end);
    this.#link(length);
    return length;
  }

  /** The same where every byte has a token, as usual. */
  #readKnownBytes(bytes: Uint8Array, start: number, end: number, pairs: Int32Array): number {
    const length = end - start;
    if (length === 0) return 0;
    this.#reserve(length);
    const ids = this.#ids, ends = this.#ends, next = this.#next, previous = this.#previous, ranks = this.#ranks;
    let byte = bytes[start];
    for (let i = 0; i < length; i++) {
      const following = i + 1 < length ? bytes[start + i + 1] : 0;
      ids[i] = this.#bytes[byte];
      ends[i] = start + i + 1;
      next[i] = i + 1;
      previous[i] = i - 1;
      ranks[i] = pairs[byte << 8 | following];
      byte = following;
    }
    next[length - 1] = -1;
    ranks[length - 1] = NEVER;
    return length;
  }

  #readBytes(bytes: Uint8Array, start: number, end: number): number {
    this.#reserve(end - start);
    const ids = this.#ids, byteIds = this.#bytes, positions = this.#ends;
    let length = 0;
    let isUnknown = false;
    for (let i = start; i < end; i++) {
      let id = byteIds[bytes[i]];
      if (id < 0) {
        if (this.#unk < 0) continue;
        if (isUnknown && this.#fuseUnk) {
          positions[length - 1] = i + 1;
          continue;
        }
        id = this.#unk;
        isUnknown = true;
      } else isUnknown = false;
      ids[length] = id;
      positions[length++] = i + 1;
    }
    return length;
  }

  #readCharacters(bytes: Uint8Array, start: number, end: number): number {
    this.#reserve(end - start);
    const ids = this.#ids, positions = this.#ends;
    let length = 0, isUnknown = false;
    for (let i = start; i < end;) {
      const next = i + widthOf(bytes[i]);
      const id = this.#characters.get(codePointAt(bytes, i));
      if (id === undefined && this.#byteFallback) {
        for (; i < next; i++) {
          ids[length] = this.#bytes[bytes[i]];
          positions[length++] = i + 1;
        }
        continue;
      }
      i = next;
      if (id === undefined && this.#unk < 0) continue;
      if (id === undefined && isUnknown && this.#fuseUnk) {
        positions[length - 1] = i;
        continue;
      }
      isUnknown = id === undefined;
      ids[length] = id ?? this.#unk;
      positions[length++] = i;
    }
    return length;
  }

  /** Links the symbols and looks up which neighbours merge. */
  #link(length: number): void {
    const ids = this.#ids, next = this.#next, previous = this.#previous, ranks = this.#ranks, merges = this.#merges;
    for (let i = 0; i < length; i++) {
      next[i] = i + 1;
      previous[i] = i - 1;
      if (i + 1 === length) break;
      ranks[i] = merges.rank(ids[i], ids[i + 1]);
    }
    if (length === 0) return;
    next[length - 1] = -1;
    ranks[length - 1] = NEVER;
  }

  /** Makes one symbol of the one at `i` and the next one. */
  #mergeAt(i: number): void {
    const ids = this.#ids, next = this.#next, previous = this.#previous, ranks = this.#ranks, merges = this.#merges;
    const second = next[i], after = next[second];
    ids[i] = merges.result(ranks[i]);
    this.#ends[i] = this.#ends[second];
    next[i] = after;
    ranks[second] = NEVER;
    if (after >= 0) {
      previous[after] = i;
      ranks[i] = merges.rank(ids[i], ids[after]);
    } else ranks[i] = NEVER;
    const before = previous[i];
    if (before < 0) return;
    ranks[before] = merges.rank(ids[before], ids[i]);
  }

  #mergeLooking(): void {
    const next = this.#next, ranks = this.#ranks;
    for (;;) {
      let best = 0;
      for (let i = next[0]; i >= 0; i = next[i]) if (ranks[i] < ranks[best]) best = i;
      if (ranks[best] === NEVER) return;
      this.#mergeAt(best);
    }
  }

  #mergeQueued(length: number): void {
    const ranks = this.#ranks, previous = this.#previous, queue = this.#queue;
    queue.clear();
    for (let i = 0; i < length; i++) if (ranks[i] !== NEVER) queue.push(ranks[i], i);
    while (queue.pop()) {
      const i = queue.place;
      if (ranks[i] !== queue.rank) continue; // it merged, or a neighbour did
      this.#mergeAt(i);
      if (ranks[i] !== NEVER) queue.push(ranks[i], i);
      const before = previous[i];
      if (before >= 0 && ranks[before] !== NEVER) queue.push(ranks[before], before);
    }
  }
}

function bytePairs(ids: Int32Array, merges: MergeTable): Int32Array {
  const pairs = new Int32Array(1 << 16);
  for (let pair = 0; pair < pairs.length; pair++) pairs[pair] = merges.rank(ids[pair >> 8], ids[pair & 255]);
  return pairs;
}
