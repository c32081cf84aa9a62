/** Compressed blocks of a frame (RFC 8878, section 3.1.1.3): literals, and sequences of what to copy between them. */

import { type FseTable, fseTable, oneSymbol, readFseTable } from "./fse.ts";
import type { History } from "./history.ts";
import { decodeHuffman, type HuffmanTable, readHuffmanTable } from "./huffman.ts";
import { MOST_BITS, PADDING, ReverseBits } from "./reverse_bits.ts";

/** Bytes that come out of a block at most. */
export const LARGEST_BLOCK = 1 << 17;
/** So few bytes are copied faster one by one. */
const SHORT = 48;

/** A kind of number in a sequence, which is a code and some bits that are added to the code's first value. */
interface NumberKind {
  accuracy: number;
  symbols: number;
  standard: FseTable;
}

/** Values for codes with that many extra bits, one after the other from `first`. */
function firsts(extra: Uint8Array, first: number): Int32Array {
  const values = new Int32Array(extra.length).fill(first);
  for (let code = 1; code < extra.length; code++) values[code] = values[code - 1] + 2 ** extra[code - 1];
  return values;
}

const zeros = (count: number) => new Array<number>(count).fill(0);
const LENGTH_BITS = Uint8Array.of(...zeros(16), 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
const MATCH_BITS = Uint8Array.of(...zeros(32), 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
const LENGTH_FIRSTS = firsts(LENGTH_BITS, 0), MATCH_FIRSTS = firsts(MATCH_BITS, 3);
const ones = (count: number) => new Array<number>(count).fill(1);
const rare = (count: number) => new Array<number>(count).fill(-1);
const twos = (count: number) => new Array<number>(count).fill(2);

const LITERALS: NumberKind = {
  accuracy: 9,
  symbols: LENGTH_BITS.length,
  standard: fseTable([4, 3, ...twos(11), 1, 1, 1, ...twos(9), 3, 2, ...ones(5), ...rare(4)], 6),
};
const OFFSETS: NumberKind = {
  accuracy: 8,
  symbols: 32,
  standard: fseTable([...ones(6), ...twos(3), ...ones(15), ...rare(5)], 5),
};
const MATCHES: NumberKind = {
  accuracy: 9,
  symbols: MATCH_BITS.length,
  standard: fseTable([1, 4, 3, ...twos(6), ...ones(37), ...rare(7)], 6),
};

/** Decodes the blocks of one frame in order: tables and offsets are used again by later ones. */
export class BlockDecoder {
  readonly #history: History;
  readonly #literals = new Uint8Array(LARGEST_BLOCK + 4);
  #huffman: HuffmanTable | undefined;
  #tables: (FseTable | undefined)[] = [];
  #recent = [1, 4, 8];

  constructor(history: History) {
    this.#history = history;
  }

  /** Begins another frame. */
  clear(): void {
    this.#huffman = undefined;
    this.#tables = [];
    this.#recent = [1, 4, 8];
  }

  /**
   * Appends a block's content to the history, which has room for it.
   *
   * @param bytes the block, and {@linkcode PADDING} zeros behind it.
   * @throws {Error} if it is broken.
   */
  decode(bytes: Uint8Array): void {
    const end = bytes.length - PADDING, view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const { count, next } = this.#readLiterals(bytes, view, end);
    this.#readSequences(view, next, end, count);
  }

  /** Fills the literals; returns how many there are, and where the sequences begin. */
  #readLiterals(bytes: Uint8Array, view: DataView, end: number): { count: number; next: number } {
    const head = bytes[0], type = head & 3, format = head >> 2 & 3;
    if (type < 2) {
      const size = format === 1 ? 2 : format === 3 ? 3 : 1;
      const value = view.getUint32(0, true) & 2 ** (8 * size) - 1;
      const count = value >> (size === 1 ? 3 : 4), next = size + (type === 0 ? count : 1);
      if (count > LARGEST_BLOCK || next > end) throw new Error("literals are broken");
      if (type === 0) this.#literals.set(bytes.subarray(size, next));
      else this.#literals.fill(bytes[size], 0, count);
      return { count, next };
    }
    const size = format < 2 ? 3 : format + 2, width = format < 2 ? 10 : format === 2 ? 14 : 18;
    const value = bytes.subarray(0, size).reduceRight((sum, byte) => 256 * sum + byte, 0);
    const count = Math.floor(value / 16) % 2 ** width, next = size + Math.floor(value / 2 ** (4 + width));
    if (count > LARGEST_BLOCK || next > end) throw new Error("literals are broken");
    let at = size;
    if (type === 2) {
      const { table, end } = readHuffmanTable(view, at, next);
      [this.#huffman, at] = [table, end];
    }
    if (this.#huffman === undefined) throw new Error("literals have no table");
    if (format === 0) decodeHuffman(this.#huffman, view, [at, next], this.#literals, [0, count]);
    else this.#readFourStreams(this.#huffman, view, [at, next], count);
    return { count, next };
  }

  #readFourStreams(table: HuffmanTable, view: DataView, [from, to]: [number, number], count: number): void {
    const share = count + 3 >> 2;
    if (to - from < 6 || 3 * share > count) throw new Error("literals are broken");
    for (let i = 0, at = from + 6; i < 4; i++) {
      const end = i === 3 ? to : at + view.getUint16(from + 2 * i, true);
      if (end > to || at > end) throw new Error("literals are broken");
      decodeHuffman(table, view, [at, end], this.#literals, [i * share, i === 3 ? count : (i + 1) * share]);
      at = end;
    }
  }

  #readSequences(view: DataView, from: number, end: number, literals: number): void {
    const history = this.#history, limit = history.length + LARGEST_BLOCK;
    const [head, second, third] = [0, 1, 2].map((i) => view.getUint8(from + i));
    const [count, size] = head < 128
      ? [head, 1]
      : head < 255
      ? [(head - 128 << 8) + second, 2]
      : [second + (third << 8) + 0x7F00, 3];
    let used = 0;
    if (count > 0) {
      let at = from + size + 1;
      if (at > end) throw new Error("sequences are broken");
      const modes = view.getUint8(from + size);
      for (const [i, kind] of [LITERALS, OFFSETS, MATCHES].entries()) {
        at = this.#readTable(kind, i, modes >> 6 - 2 * i & 3, view, at, end);
      }
      used = this.#execute(new ReverseBits(view, at, end), count, literals, limit);
    } else if (from + size !== end) throw new Error("sequences are broken");
    if (history.length + literals - used > limit) throw new Error("a block is too long");
    history.bytes.set(this.#literals.subarray(used, literals), history.length);
    history.length += literals - used;
  }

  #readTable(kind: NumberKind, i: number, mode: number, view: DataView, at: number, end: number): number {
    const { symbols, accuracy } = kind;
    if (mode === 0) this.#tables[i] = kind.standard;
    else if (mode === 1) {
      if (at >= end || view.getUint8(at) >= symbols) throw new Error("sequences are broken");
      this.#tables[i] = oneSymbol(view.getUint8(at));
      return at + 1;
    } else if (mode === 2) {
      const { table, end: next } = readFseTable(view, at, end, { accuracy, symbols });
      this.#tables[i] = table;
      return next;
    } else if (this.#tables[i] === undefined) throw new Error("sequences have no table");
    return at;
  }

  /** Appends what the sequences say, up to a length of `limit`; returns how many literals they used. */
  #execute(stream: ReverseBits, count: number, literals: number, limit: number): number {
    const history = this.#history, { bytes, view: out } = history, source = this.#literals;
    const literal = new DataView(source.buffer); // four bytes are copied at once, and up to three too many
    const [lengths, offsets, matches] = (this.#tables as FseTable[]).map(({ entries }) => entries);
    const [length, offset, match] = [0, 1, 2].map((i) => stream.read(this.#tables[i]!.accuracy));
    let lengthEntry = lengths[length], offsetEntry = offsets[offset], matchEntry = matches[match];
    let [newest, second, third] = this.#recent;
    let used = 0, at = history.length;
    // Bits are read here, and not by the stream: this loop is what most of the time goes to.
    const { view, from } = stream;
    let { left } = stream;
    for (let sequence = 1; sequence <= count; sequence++) {
      // Offset, length of the match, number of literals: the bits that are added to each, in this order.
      const offsetBits = offsetEntry & 255, matchCode = matchEntry & 255, code = lengthEntry & 255;
      const matchBits = MATCH_BITS[matchCode], lengthBits = LENGTH_BITS[code];
      let value: number, matched = MATCH_FIRSTS[matchCode], taken = LENGTH_FIRSTS[code];
      if ((left -= offsetBits + matchBits + lengthBits) < 0) throw new Error("sequences are broken");
      if (offsetBits + matchBits + lengthBits <= MOST_BITS) {
        const word = view.getUint32(from + (left >> 3), true) >>> (left & 7);
        taken += word & (1 << lengthBits) - 1;
        matched += word >>> lengthBits & (1 << matchBits) - 1;
        value = (1 << offsetBits) + (word >>> lengthBits + matchBits & (1 << offsetBits) - 1);
      } else {
        stream.left = left + offsetBits + matchBits + lengthBits;
        value = 2 ** offsetBits + stream.readLong(offsetBits);
        matched += stream.read(matchBits);
        taken += stream.read(lengthBits);
      }
      if (sequence < count) {
        const offsetMore = offsetEntry >> 8 & 255, matchMore = matchEntry >> 8 & 255, more = lengthEntry >> 8 & 255;
        if ((left -= offsetMore + matchMore + more) < 0) throw new Error("sequences are broken");
        const word = view.getUint32(from + (left >> 3), true) >>> (left & 7), after = left + offsetMore;
        const other = view.getUint32(from + (after >> 3), true) >>> (after & 7);
        offsetEntry = offsets[(offsetEntry >> 16) + (word & (1 << offsetMore) - 1)];
        matchEntry = matches[(matchEntry >> 16) + (other & (1 << matchMore) - 1)];
        lengthEntry = lengths[(lengthEntry >> 16) + (other >>> matchMore & (1 << more) - 1)];
      }
      if (used + taken > literals) throw new Error("sequences are broken");
      if (at + taken + matched > limit) throw new Error("a block is too long");

      if (taken > SHORT) bytes.set(source.subarray(used, used + taken), at);
      else for (let i = 0; i < taken; i += 4) out.setInt32(at + i, literal.getInt32(used + i));
      used += taken;
      at += taken;

      // Values to 3 are one of the last three offsets, or without literals the next one of them.
      let back = newest;
      const which = value > 3 ? 3 : taken === 0 ? value : value - 1;
      if (which > 0) {
        back = value > 3 ? value - 3 : which === 1 ? second : which === 2 ? third : newest - 1;
        if (which > 1) third = second;
        second = newest;
        newest = back;
      }
      if (back > at || back <= 0) {
        history.length = at;
        history.copyOld(back, matched);
      } else {
        const near = back | 0; // an offset may be no small integer, which would make the loop slow
        if (matched > SHORT && near >= matched) bytes.copyWithin(at, at - near, at - near + matched);
        else if (near >= 4) {
          for (let i = at, end = at + matched; i < end; i += 4) out.setInt32(i, out.getInt32(i - near));
        } else for (let i = at, end = at + matched; i < end; i++) bytes[i] = bytes[i - near];
      }
      at += matched;
    }
    if (left !== 0) throw new Error("sequences are broken");
    this.#recent = [newest, second, third];
    history.length = at;
    return used;
  }
}
