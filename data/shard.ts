/**
 * A shard, tokenized text on disk, open for reading at any place. The format is specified in docs/shards.md. In memory
 * there is the directory of its blocks.
 */

import { createHash } from "node:crypto";
import { ioError } from "../config/cloze_error.ts";
import { fromPages, PageReader } from "./checked_pages.ts";
import {
  blockLayout,
  corrupt,
  ENTRY,
  HEADER,
  type Ids,
  openRegular,
  readAt,
  readHeader,
  sentenceLength,
  type ShardHeader,
} from "./shard_format.ts";

/** A shard, open for reading: any tokens and any sentences by their number. */
export class Shard implements Disposable {
  /** Path of the file. */
  readonly path: string;
  /** What the file says of itself. */
  readonly header: ShardHeader;
  /** How often each id occurs. */
  readonly counts: Float64Array;
  readonly #file: Deno.FsFile;
  readonly #pages: PageReader;
  readonly #width: 2 | 4;
  /** Of each block its place in the file, and the number of its first token and sentence; one more ends the last. */
  readonly #offsets: Float64Array;
  readonly #tokens: Float64Array;
  readonly #sentences: Float64Array;
  readonly #checksums: Uint8Array[];
  #bits = new Uint8Array(64);

  private constructor(path: string, file: Deno.FsFile, header: ShardHeader, tail: Uint8Array) {
    const { blocks, vocab_size } = header;
    this.path = path;
    this.header = header;
    this.#file = file;
    this.#pages = new PageReader(file, (why) => corrupt(path, why));
    this.#width = header.dtype === "u32" ? 4 : 2;
    const view = new DataView(tail.buffer, tail.byteOffset);
    [this.#offsets, this.#tokens, this.#sentences] = [0, 0, 0].map(() => new Float64Array(blocks + 1));
    this.#offsets[0] = HEADER;
    for (let b = 0; b < blocks; b++) {
      const tokens = view.getUint32(ENTRY * b + 8, true), sentences = view.getUint32(ENTRY * b + 12, true);
      this.#offsets[b + 1] = this.#offsets[b] + blockLayout(tokens, sentences, this.#width).bytes;
      this.#tokens[b + 1] = this.#tokens[b] + tokens;
      this.#sentences[b + 1] = this.#sentences[b] + sentences;
    }
    this.#checksums = Array.from({ length: blocks }, (_, b) => tail.subarray(ENTRY * b + 24, ENTRY * (b + 1)));
    this.counts = Float64Array.from(
      { length: vocab_size },
      (_, id) => Number(view.getBigUint64(ENTRY * blocks + 8 * id, true)),
    );
  }

  /** The header alone, or `undefined` if there is no such file. */
  static peek(path: string): ShardHeader | undefined {
    try {
      using file = openRegular(path);
      return readHeader(file, path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw ioError(error, "read", path);
    }
  }

  /**
   * Opens a shard and checks its header, its directory and its length. The rest is checked as it is read.
   *
   * @throws {ClozeError} `input` if the file is not a whole shard, `io` if it cannot be read.
   */
  static open(path: string): Shard {
    let file;
    try {
      file = openRegular(path);
      const header = readHeader(file, path);
      const { size } = file.statSync();
      const length = ENTRY * header.blocks + 8 * header.vocab_size;
      if (size < HEADER + length) throw corrupt(path, "it is cut off");
      const tail = new Uint8Array(length);
      readAt(file, size - tail.length, tail, path);
      if (createHash("sha256").update(tail).digest("hex") !== header.sha256) {
        throw corrupt(path, "the checksum of its directory is wrong");
      }
      const shard = new Shard(path, file, header, tail);
      if (shard.#offsets[header.blocks] + length !== size) throw corrupt(path, "its length is wrong");
      if (shard.#tokens[header.blocks] !== header.tokens || shard.#sentences[header.blocks] !== header.sentences) {
        throw corrupt(path, "its header counts other tokens or sentences than its directory");
      }
      return shard;
    } catch (error) {
      file?.close();
      throw ioError(error, "read", path);
    }
  }

  /** Reads `out.length` ids from token `first` on. */
  readIds(first: number, out: Ids): void {
    for (const { b, at, from, to } of this.#byBlock(this.#tokens, first, out.length)) {
      this.#read(b, at * this.#width, out.subarray(from, to));
    }
  }

  /** For each of `out.length` tokens from `first` on, whether an eojeol begins there: 1 or 0. */
  readWordStarts(first: number, out: Uint8Array): void {
    for (const { b, at, from, to } of this.#byBlock(this.#tokens, first, out.length)) {
      const byte = at >>> 3, bytes = ((at + to - from + 7) >>> 3) - byte;
      if (this.#bits.length < bytes) this.#bits = new Uint8Array(2 * bytes);
      this.#read(b, this.#layout(b).words + byte, this.#bits.subarray(0, bytes));
      for (let i = from, bit = at & 7; i < to; i++, bit++) out[i] = (this.#bits[bit >>> 3] >>> (bit & 7)) & 1;
    }
  }

  /** Reads `out.length` sentences from number `first` on: see {@linkcode sentenceLength}. */
  readSentences(first: number, out: Uint32Array): void {
    for (const { b, at, from, to } of this.#byBlock(this.#sentences, first, out.length)) {
      this.#read(b, this.#layout(b).ends + 4 * at, out.subarray(from, to));
    }
  }

  #read(b: number, from: number, out: Ids | Uint8Array | Uint32Array): void {
    this.#pages.read(this.#offsets[b], from, new Uint8Array(out.buffer, out.byteOffset, out.byteLength));
  }

  /** The blocks that hold `count` numbers from `first` on: each from its number `at` on, for `from` to `to` of the count. */
  *#byBlock(firsts: Float64Array, first: number, count: number) {
    const all = firsts[this.header.blocks];
    if (!(first >= 0 && first + count <= all)) {
      throw corrupt(this.path, `it has no number ${first + count - 1}, only ${all} in all`);
    }
    for (let from = 0, b = blockOf(firsts, first); from < count; b++) {
      const at = first + from - firsts[b];
      const to = Math.min(count, firsts[b + 1] - first);
      yield { b, at, from, to };
      from = to;
    }
  }

  #layout(b: number) {
    const tokens = this.#tokens[b + 1] - this.#tokens[b], sentences = this.#sentences[b + 1] - this.#sentences[b];
    return blockLayout(tokens, sentences, this.#width);
  }

  /**
   * The sentences of each block in turn, after checking that nothing in the block is damaged.
   *
   * @throws {ClozeError} `input` if a block is.
   */
  *blocks(): Generator<{ firstToken: number; firstSentence: number; sentences: Uint32Array }> {
    const { blocks, vocab_size } = this.header;
    for (let b = 0; b < blocks; b++) {
      const pages = new Uint8Array(this.#offsets[b + 1] - this.#offsets[b]);
      readAt(this.#file, this.#offsets[b], pages, this.path);
      const found = createHash("sha256").update(pages).digest();
      if (!found.every((byte, i) => byte === this.#checksums[b][i])) {
        throw corrupt(this.path, `the checksum of block ${b} is wrong`);
      }
      const { buffer } = fromPages(pages);
      const tokens = this.#tokens[b + 1] - this.#tokens[b], count = this.#sentences[b + 1] - this.#sentences[b];
      for (
        const id of this.#width === 4 ? new Uint32Array(buffer, 0, tokens) : new Uint16Array(buffer, 0, tokens)
      ) {
        if (id >= vocab_size) throw corrupt(this.path, `it has the id ${id}, but a vocabulary of ${vocab_size}`);
      }
      const sentences = new Uint32Array(buffer, this.#layout(b).ends, count);
      let sum = 0;
      for (const sentence of sentences) sum += sentenceLength(sentence);
      if (sum !== tokens) throw corrupt(this.path, `the sentences of block ${b} have ${sum} tokens, not ${tokens}`);
      yield { firstToken: this.#tokens[b], firstSentence: this.#sentences[b], sentences };
    }
  }

  /** An array that `readIds` can fill. */
  buffer(length: number): Ids {
    return this.#width === 4 ? new Uint32Array(length) : new Uint16Array(length);
  }

  /** Closes what it has open. */
  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/** The block that holds a number: the last one that begins at or before it. */
function blockOf(firsts: Float64Array, number: number): number {
  let low = 0, high = firsts.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (firsts[middle] <= number) low = middle;
    else high = middle;
  }
  return low;
}
