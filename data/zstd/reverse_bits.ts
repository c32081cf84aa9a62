/** Bits of a stream that is written forwards and read backwards, as FSE and Huffman streams are (RFC 8878, section 4). */

/** Bytes that have to be there behind a stream, so that a word can be read at its end. */
export const PADDING = 4;
/** Bits of a word that can be read wherever they begin. */
export const MOST_BITS = 25;

/** Reads from the end: the highest bit that is set there only marks where the stream ends. */
export class ReverseBits {
  readonly view: DataView;
  /** The first byte. */
  readonly from: number;
  /** Bits that are left; below 0 once more was read than there was. */
  left: number;

  /**
   * @param view of bytes that hold the stream in `[from, to)`, and {@linkcode PADDING} more.
   * @throws {Error} if the end is not marked.
   */
  constructor(view: DataView, from: number, to: number) {
    const last = to > from ? view.getUint8(to - 1) : 0;
    if (last === 0) throw new Error("a stream of bits has no end");
    this.view = view;
    this.from = from;
    this.left = 8 * (to - from) - (Math.clz32(last) - 23);
  }

  /** The next `count` bits, at most {@linkcode MOST_BITS}, which are left where they are; zeros stand for what is missing. */
  peek(count: number): number {
    const at = this.left - count;
    if (at >= 0) return this.view.getUint32(this.from + (at >> 3), true) >>> (at & 7) & (1 << count) - 1;
    return this.left <= 0 ? 0 : (this.view.getUint32(this.from, true) & (1 << this.left) - 1) << -at;
  }

  /** Takes the next `count` bits, at most 25. */
  read(count: number): number {
    const bits = this.peek(count);
    this.left -= count;
    return bits;
  }

  /** Takes the next `count` bits, at most 32. */
  readLong(count: number): number {
    return count <= MOST_BITS ? this.read(count) : this.read(count - 16) * 65536 + this.read(16);
  }
}
