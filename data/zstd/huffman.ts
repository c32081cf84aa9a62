/** Huffman coding of literals (RFC 8878, section 4.2). */

import { readFseTable } from "./fse.ts";
import { ReverseBits } from "./reverse_bits.ts";

/** For each `width` bits that may come: the symbol that they begin with, and, eight bits up, how many it takes. */
export interface HuffmanTable {
  width: number;
  entries: Uint16Array;
}

const LONGEST_CODE = 11;

/**
 * Reads the description of a table from the bytes `[from, to)`.
 *
 * @throws {Error} if it is none.
 */
export function readHuffmanTable(view: DataView, from: number, to: number): { table: HuffmanTable; end: number } {
  const head = view.getUint8(from);
  const count = head < 128 ? 0 : head - 127;
  const end = from + 1 + (head < 128 ? head : count + 1 >> 1);
  if (end > to) throw new Error("a table is broken");
  const weights = head < 128
    ? readWeights(view, from + 1, end)
    : Array.from({ length: count }, (_, i) => view.getUint8(from + 1 + (i >> 1)) >> (i % 2 === 0 ? 4 : 0) & 15);
  return { table: huffmanTable(weights), end };
}

/** Weights that two states give in turn, until there are no more bits. */
function readWeights(view: DataView, from: number, to: number): number[] {
  const { table: { accuracy, entries }, end } = readFseTable(view, from, to, {
    accuracy: 6,
    symbols: 256,
  });
  const stream = new ReverseBits(view, end, to);
  const states = [stream.read(accuracy), stream.read(accuracy)];
  const weights: number[] = [];
  for (let turn = 0; weights.length < 256; turn ^= 1) {
    const entry = entries[states[turn]];
    weights.push(entry & 255);
    states[turn] = (entry >> 16) + stream.read(entry >> 8 & 255);
    if (stream.left < 0) return [...weights, entries[states[turn ^ 1]] & 255];
  }
  throw new Error("a table is broken");
}

/** A table from all weights but the last, which is what is left. */
function huffmanTable(weights: number[]): HuffmanTable {
  const sum = weights.reduce((sum, weight) => sum + (1 << weight >> 1), 0);
  const width = 32 - Math.clz32(sum), left = (1 << width) - sum;
  if (
    sum === 0 || width > LONGEST_CODE || (left & left - 1) !== 0 || weights.length > 255 ||
    weights.some((weight) => weight > LONGEST_CODE)
  ) throw new Error("a table is broken");
  const all = [...weights, 32 - Math.clz32(left)];
  const entries = new Uint16Array(1 << width);
  let at = 0;
  for (let weight = 1; weight <= width; weight++) {
    all.forEach((other, symbol) => {
      if (other === weight) entries.fill(symbol | width + 1 - weight << 8, at, at += 1 << weight - 1);
    });
  }
  return { width, entries };
}

/**
 * Decodes the stream in the bytes `[from, to)` into `out[begin..end)`.
 *
 * @throws {Error} if it holds more or less.
 */
export function decodeHuffman(
  { width, entries }: HuffmanTable,
  view: DataView,
  [from, to]: readonly [number, number],
  out: Uint8Array,
  [begin, end]: readonly [number, number],
): void {
  const stream = new ReverseBits(view, from, to);
  const mask = (1 << width) - 1, high = 24 - width;
  let left = stream.left, i = begin;
  // Two symbols of a word at a time.
  for (; i + 1 < end && left >= 24; i += 2) {
    const at = left - 24;
    const word = view.getUint32(from + (at >> 3), true) >>> (at & 7);
    const first = entries[word >>> high & mask], taken = first >> 8;
    const second = entries[word >>> high - taken & mask];
    out[i] = first;
    out[i + 1] = second;
    left -= taken + (second >> 8);
  }
  stream.left = left;
  for (; i < end; i++) {
    const entry = entries[stream.peek(width)];
    out[i] = entry;
    stream.left -= entry >> 8;
  }
  if (stream.left !== 0) throw new Error("literals are broken");
}
