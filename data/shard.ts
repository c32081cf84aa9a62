/**
 * A shard, tokenized text on disk, open for reading at any place. The format is specified in docs/shards.md. In memory
 * there is the directory of its blocks.
 */

import { createHash } from "node:crypto";
import { ioError } from "../config/cloze_error.ts";
import {
  blockLayout,
  corrupt,
  ENTRY,
  HEADER,
  type Ids,
  readAt,
  readHeader,
  sentenceLength,
  type ShardHeader,
} from "./shard_format.ts";

/** A shard, open for reading: any tokens and any sentences by their number. */
export class Shard implements Disposable {
  readonly path: string;
  readonly header: ShardHeader;
  /** How often each id occurs. */
  readonly counts: Float64Array;
  readonly #file: Deno.FsFile;
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
      using file = Deno.openSync(path);
      return readHeader(file, path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw ioError(error, "read", path);
    }
  }

  /**
   * Opens a shard and checks its header, its directory and its length. `blocks` checks what they hold.
   *
   * @throws {ClozeError} `input` if the file is not a whole shard, `io` if it cannot be read.
   */
  static open(path: string): Shard {
    let file;
    try {
      file = Deno.openSync(path);
      const header = readHeader(file, path);
      const tail = new Uint8Array(ENTRY * header.blocks + 8 * header.vocab_size);
      const { size } = file.statSync();
      if (size < HEADER + tail.length) throw corrupt(path, "it is cut off");
      readAt(file, size - tail.length, tail, path);
      if (createHash("sha256").update(tail).digest("hex") !== header.sha256) {
        throw corrupt(path, "the checksum of its directory is wrong");
      }
      const shard = new Shard(path, file, header, tail);
      if (shard.#offsets[header.blocks] + tail.length !== size) throw corrupt(path, "its length is wrong");
      return shard;
    } catch (error) {
      file?.close();
      throw ioError(error, "read", path);
    }
  }

  /** Reads `out.length` ids from token `first` on, all of them in one block. */
  readIds(first: number, out: Ids): void {
    const b = blockOf(this.#tokens, first);
    const bytes = new Uint8Array(out.buffer, out.byteOffset, out.byteLength);
    readAt(this.#file, this.#offsets[b] + (first - this.#tokens[b]) * this.#width, bytes, this.path);
  }

  /** For each of `out.length` tokens from `first` on, all in one block, whether an eojeol begins there: 1 or 0. */
  readWordStarts(first: number, out: Uint8Array): void {
    const b = blockOf(this.#tokens, first);
    const at = first - this.#tokens[b];
    const from = at >>> 3, bytes = ((at + out.length + 7) >>> 3) - from;
    if (this.#bits.length < bytes) this.#bits = new Uint8Array(2 * bytes);
    const tokens = this.#tokens[b + 1] - this.#tokens[b], sentences = this.#sentences[b + 1] - this.#sentences[b];
    const { words } = blockLayout(tokens, sentences, this.#width);
    readAt(this.#file, this.#offsets[b] + words + from, this.#bits.subarray(0, bytes), this.path);
    for (let i = 0; i < out.length; i++) out[i] = (this.#bits[((at + i) >>> 3) - from] >>> ((at + i) & 7)) & 1;
  }

  /** Reads `out.length` sentences from number `first` on, all of them in one block: see {@linkcode sentenceLength}. */
  readSentences(first: number, out: Uint32Array): void {
    const b = blockOf(this.#sentences, first);
    const tokens = this.#tokens[b + 1] - this.#tokens[b], sentences = this.#sentences[b + 1] - this.#sentences[b];
    const { ends } = blockLayout(tokens, sentences, this.#width);
    const bytes = new Uint8Array(out.buffer, out.byteOffset, out.byteLength);
    readAt(this.#file, this.#offsets[b] + ends + 4 * (first - this.#sentences[b]), bytes, this.path);
  }

  /**
   * The sentences of each block in turn, after checking that nothing in the block is damaged.
   *
   * @throws {ClozeError} `input` if a block is.
   */
  *blocks(): Generator<{ firstToken: number; firstSentence: number; sentences: Uint32Array }> {
    const { blocks, vocab_size } = this.header;
    for (let b = 0; b < blocks; b++) {
      const bytes = new Uint8Array(this.#offsets[b + 1] - this.#offsets[b]);
      readAt(this.#file, this.#offsets[b], bytes, this.path);
      const found = createHash("sha256").update(bytes).digest();
      if (!found.every((byte, i) => byte === this.#checksums[b][i])) {
        throw corrupt(this.path, `the checksum of block ${b} is wrong`);
      }
      const tokens = this.#tokens[b + 1] - this.#tokens[b], count = this.#sentences[b + 1] - this.#sentences[b];
      for (
        const id of this.#width === 4
          ? new Uint32Array(bytes.buffer, 0, tokens)
          : new Uint16Array(bytes.buffer, 0, tokens)
      ) {
        if (id >= vocab_size) throw corrupt(this.path, `it has the id ${id}, but a vocabulary of ${vocab_size}`);
      }
      const sentences = new Uint32Array(bytes.buffer, blockLayout(tokens, count, this.#width).ends, count);
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
