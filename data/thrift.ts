/**
 * Checks Thrift's compact protocol, in which Parquet's metadata and page headers are, before a library reads it: a list
 * that claims more items than there are bytes would have memory reserved for it. Used by the Parquet reader.
 */

/** Structures inside of one another; Parquet's are far fewer. */
const DEEPEST = 32;

/**
 * Where the structure ends that begins at `from`, or undefined if the bytes end before it does.
 *
 * @throws {Error} if it is no such structure, however it went on.
 */
export function thriftEnd(bytes: Uint8Array, from: number): number | undefined {
  const reader = new Reader(bytes, from);
  try {
    reader.struct(0);
    return reader.at;
  } catch (error) {
    if (error === CUT_OFF) return undefined;
    throw error;
  }
}

const CUT_OFF = new Error("it is cut off");

class Reader {
  readonly #bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  struct(depth: number): void {
    if (depth > DEEPEST) throw new Error("its metadata is nested too deeply");
    for (;;) {
      const byte = this.#byte();
      if (byte === 0) return;
      if (byte >> 4 === 0) this.#number();
      this.#value(byte & 15, depth, false);
    }
  }

  /** @param inList whether it is an item: booleans have a byte of their own there. */
  #value(type: number, depth: number, inList: boolean): void {
    if (type === 1 || type === 2) this.#skip(inList ? 1 : 0);
    else if (type === 3) this.#skip(1);
    else if (type >= 4 && type <= 6) this.#number();
    else if (type === 7) this.#skip(8);
    else if (type === 8) this.#skip(this.#number());
    else if (type === 9) this.#list(depth);
    else if (type === 12) this.struct(depth + 1);
    else throw new Error(`its metadata has a value of an unknown type, ${type}`);
  }

  #list(depth: number): void {
    if (depth > DEEPEST) throw new Error("its metadata is nested too deeply");
    const byte = this.#byte();
    const count = byte >> 4 === 15 ? this.#number() : byte >> 4;
    if (count > this.#bytes.length - this.at) throw CUT_OFF; // an item has a byte at least
    for (let i = 0; i < count; i++) this.#value(byte & 15, depth + 1, true);
  }

  /** An unsigned varint, of at most 64 bits; only that of a length has to be exact. */
  #number(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.#byte();
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    throw new Error("its metadata has a number of more than 64 bits");
  }

  #byte(): number {
    if (this.at >= this.#bytes.length) throw CUT_OFF;
    return this.#bytes[this.at++];
  }

  #skip(count: number): void {
    this.at += count;
    if (this.at > this.#bytes.length) throw CUT_OFF;
  }
}
