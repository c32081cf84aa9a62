/**
 * Tokenized text on disk: written once, in blocks, and read at random. The format is specified in docs/shards.md. A shard
 * is complete or it is not there: it is written under a temporary name, flushed and renamed. In memory there is one block
 * while writing, and the directory of blocks while reading.
 */

import { createHash } from "node:crypto";
import { ClozeError, ioError } from "../config/cloze_error.ts";
import type { CorpusCounts } from "./corpus_report.ts";

const MAGIC = "CLZSHARD";
const VERSION = 2;
/** Bytes before the first block. The last 32 are the checksum of the others. */
const HEADER = 4096;
/** Bytes of a block's entry in the directory. */
const ENTRY = 56;
/** Tokens after which a block is closed; it ends with a document. */
const BLOCK_TOKENS = 1 << 20;
/** In the list of sentences: the document ends here. */
const LAST = 0x80000000;

/** An array of ids as a shard has them. */
export type Ids = Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

/** What a shard says of itself. */
export interface ShardHeader {
  dtype: "u16" | "u32";
  tokens: number;
  sentences: number;
  documents: number;
  blocks: number;
  vocab_size: number;
  /** Hash of what it was made from: files, tokenizer and options. */
  source: string;
  /** What was found when the corpus was read. */
  corpus: CorpusCounts | null;
  /** SHA-256 of the directory and the token counts. It covers the blocks, whose checksums are in the directory. */
  sha256: string;
}

/** A block's entry in the directory. */
export interface BlockEntry {
  bytes: number;
  tokens: number;
  sentences: number;
  documents: number;
  sha256: Uint8Array;
}

const aligned = (bytes: number) => Math.ceil(bytes / 8) * 8;

/** Where the parts of a block begin, and how long it is. */
function blockLayout(tokens: number, sentences: number, width: number) {
  const words = aligned(tokens * width);
  const ends = words + aligned(Math.ceil(tokens / 8));
  return { words, ends, bytes: ends + aligned(4 * sentences) };
}

/** Collects whole documents until they are enough for a block. */
class BlockBuilder {
  readonly counts: Float64Array;
  readonly #width: 2 | 4;
  #ids: Ids;
  #words = new Uint8Array(BLOCK_TOKENS);
  #sentences = new Uint32Array(1 << 10);
  #tokens = 0;
  #count = 0;
  #documents = 0;
  #inDocument = 0;

  constructor(vocab_size: number, width: 2 | 4) {
    this.counts = new Float64Array(vocab_size);
    this.#width = width;
    this.#ids = width === 4 ? new Uint32Array(BLOCK_TOKENS) : new Uint16Array(BLOCK_TOKENS);
  }

  get tokens(): number {
    return this.#tokens;
  }

  /** Appends a sentence; `starts` are the places in it where an eojeol, a word between white space, begins. */
  sentence(ids: ArrayLike<number>, starts: ArrayLike<number>): void {
    const { length } = ids;
    if (length === 0) return;
    if (this.#tokens + length > this.#ids.length) this.#grow(length);
    const at = this.#tokens;
    for (let i = 0; i < length; i++) {
      this.#ids[at + i] = ids[i];
      this.counts[ids[i]]++;
    }
    for (let i = 0; i < starts.length; i++) this.#words[at + starts[i]] = 1;
    if (this.#count === this.#sentences.length) this.#sentences = widened(this.#sentences, 2 * this.#count);
    this.#sentences[this.#count++] = length;
    this.#tokens += length;
    this.#inDocument++;
  }

  /** Ends the document, unless it has no sentence. */
  endDocument(): void {
    if (this.#inDocument === 0) return;
    this.#inDocument = 0;
    this.#documents++;
    this.#sentences[this.#count - 1] += LAST;
  }

  #grow(length: number): void {
    const size = Math.max(2 * this.#ids.length, this.#tokens + length);
    this.#ids = widened(this.#ids, size);
    this.#words = widened(this.#words, size);
  }

  /** The block as bytes, and its entry. Empties the builder. */
  take(): { bytes: Uint8Array<ArrayBuffer>; entry: BlockEntry } {
    const [tokens, sentences, documents] = [this.#tokens, this.#count, this.#documents];
    const layout = blockLayout(tokens, sentences, this.#width);
    const bytes = new Uint8Array(layout.bytes);
    bytes.set(new Uint8Array(this.#ids.buffer, 0, tokens * this.#width));
    for (let i = 0; i < tokens; i++) bytes[layout.words + (i >>> 3)] |= this.#words[i] << (i & 7);
    bytes.set(new Uint8Array(this.#sentences.buffer, 0, 4 * sentences), layout.ends);
    this.#words.fill(0, 0, tokens);
    this.#tokens = this.#count = this.#documents = 0;
    const sha256 = new Uint8Array(createHash("sha256").update(bytes).digest());
    return { bytes, entry: { bytes: bytes.length, tokens, sentences, documents, sha256 } };
  }
}

function widened<T extends Ids | Uint8Array>(array: T, length: number): T {
  const wide = new (array.constructor as new (length: number) => T)(length);
  wide.set(array);
  return wide;
}

/** What a part of a shard consists of, beside its file of blocks. Can be sent to another thread. */
export interface ShardPart {
  entries: BlockEntry[];
  counts: Float64Array;
}

/** Writes blocks to a file: those of a shard, or of a part that will be appended to one. */
export class BlockWriter {
  readonly entries: BlockEntry[] = [];
  readonly #path: string;
  readonly #file: Deno.FsFile;
  readonly #builder: BlockBuilder;

  /** @throws {ClozeError} `io` */
  constructor(path: string, vocab_size: number, from = 0) {
    this.#path = path;
    this.#builder = new BlockBuilder(vocab_size, vocab_size > 0x10000 ? 4 : 2);
    try {
      this.#file = Deno.openSync(path, { read: true, write: true, create: true, truncate: true });
      this.#file.seekSync(from, Deno.SeekMode.Start);
    } catch (error) {
      throw ioError(error, "write", path);
    }
  }

  /** How often each id occurs. */
  get counts(): Float64Array {
    return this.#builder.counts;
  }

  /** Appends a sentence to the document in progress. */
  sentence(ids: ArrayLike<number>, starts: ArrayLike<number> = []): void {
    this.#builder.sentence(ids, starts);
  }

  /** Ends the document in progress. */
  endDocument(): void {
    this.#builder.endDocument();
    if (this.#builder.tokens >= BLOCK_TOKENS) this.flush();
  }

  /** Closes the block in progress. */
  flush(): void {
    if (this.#builder.tokens === 0) return;
    const { bytes, entry } = this.#builder.take();
    this.write(bytes);
    this.entries.push(entry);
  }

  /** Appends bytes as they are. */
  write(bytes: Uint8Array): void {
    try {
      for (let at = 0; at < bytes.length;) at += this.#file.writeSync(bytes.subarray(at));
    } catch (error) {
      throw ioError(error, "write", this.#path);
    }
  }

  /** Writes at the beginning, flushes to the disk if asked to, and closes. */
  close(header?: Uint8Array): void {
    try {
      if (header !== undefined) {
        this.#file.seekSync(0, Deno.SeekMode.Start);
        this.write(header);
        this.#file.syncDataSync();
      }
    } catch (error) {
      throw ioError(error, "write", this.#path);
    } finally {
      this.#file.close();
    }
  }
}

/** Writes one shard, from documents or from parts that others have written. */
export class ShardWriter {
  readonly #path: string;
  readonly #vocab_size: number;
  readonly #source: string;
  readonly #writer: BlockWriter;

  /** @throws {ClozeError} `io` */
  constructor(path: string, vocab_size: number, source: string) {
    this.#path = path;
    this.#vocab_size = vocab_size;
    this.#source = source;
    this.#writer = new BlockWriter(`${path}.tmp`, vocab_size, HEADER);
  }

  /** Appends a document: the ids of each sentence. Empty sentences are left out, and documents of only those. */
  add(sentences: readonly ArrayLike<number>[]): void {
    for (const ids of sentences) this.#writer.sentence(ids);
    this.#writer.endDocument();
  }

  /** Appends the blocks of a part. */
  append(path: string, part: ShardPart): void {
    this.#writer.flush();
    try {
      using file = Deno.openSync(path);
      const buffer = new Uint8Array(1 << 20);
      for (let read = file.readSync(buffer); read !== null; read = file.readSync(buffer)) {
        this.#writer.write(buffer.subarray(0, read));
      }
    } catch (error) {
      throw ioError(error, "read", path);
    }
    this.#writer.entries.push(...part.entries);
    part.counts.forEach((count, id) => this.#writer.counts[id] += count);
  }

  /** Completes the file and gives it its name. */
  finish(corpus: CorpusCounts | null = null): ShardHeader {
    const writer = this.#writer;
    writer.flush();
    const { entries, counts } = writer;
    const tail = new Uint8Array(ENTRY * entries.length + 8 * counts.length);
    const view = new DataView(tail.buffer);
    let offset = HEADER;
    const total = { tokens: 0, sentences: 0, documents: 0 };
    entries.forEach((entry, i) => {
      const at = ENTRY * i;
      view.setBigUint64(at, BigInt(offset), true);
      view.setUint32(at + 8, entry.tokens, true);
      view.setUint32(at + 12, entry.sentences, true);
      view.setUint32(at + 16, entry.documents, true);
      tail.set(entry.sha256, at + 24);
      offset += entry.bytes;
      total.tokens += entry.tokens;
      total.sentences += entry.sentences;
      total.documents += entry.documents;
    });
    counts.forEach((count, id) => view.setBigUint64(ENTRY * entries.length + 8 * id, BigInt(count), true));
    writer.write(tail);
    const header: ShardHeader = {
      dtype: this.#vocab_size > 0x10000 ? "u32" : "u16",
      ...total,
      blocks: entries.length,
      vocab_size: this.#vocab_size,
      source: this.#source,
      corpus,
      sha256: createHash("sha256").update(tail).digest("hex"),
    };
    writer.close(headerBytes(header));
    try {
      Deno.renameSync(`${this.#path}.tmp`, this.#path);
    } catch (error) {
      throw ioError(error, "write", this.#path);
    }
    return header;
  }

  /** Gives up: nothing is left of the file. */
  discard(): void {
    try {
      this.#writer.close();
      Deno.removeSync(`${this.#path}.tmp`);
    } catch {
      // It was closed, or is not there: then there is nothing to give up.
    }
  }
}

function headerBytes(header: ShardHeader): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(header));
  const bytes = new Uint8Array(HEADER);
  bytes.set(new TextEncoder().encode(MAGIC));
  const view = new DataView(bytes.buffer);
  view.setUint32(8, VERSION, true);
  view.setUint32(12, text.length, true);
  bytes.set(text, 16);
  bytes.set(createHash("sha256").update(bytes.subarray(0, HEADER - 32)).digest(), HEADER - 32);
  return bytes;
}

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

/** Tokens of a sentence, as the list of sentences has it. */
export const sentenceLength = (sentence: number): number => sentence % LAST;

/** Whether a sentence is the last one of its document. */
export const endsDocument = (sentence: number): boolean => sentence >= LAST;

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

function readAt(file: Deno.FsFile, offset: number, bytes: Uint8Array, path: string): void {
  file.seekSync(offset, Deno.SeekMode.Start);
  for (let at = 0; at < bytes.length;) {
    const read = file.readSync(bytes.subarray(at));
    if (read === null) throw corrupt(path, "it is cut off");
    at += read;
  }
}

function corrupt(path: string, why: string): ClozeError {
  return new ClozeError("input", `${path} is not a whole shard: ${why}`, {
    hint: "delete the file: it is made again from the text",
  });
}

function readHeader(file: Deno.FsFile, path: string): ShardHeader {
  const bytes = new Uint8Array(HEADER);
  if (file.statSync().size < HEADER) throw corrupt(path, "it is shorter than its header");
  readAt(file, 0, bytes, path);
  if (new TextDecoder().decode(bytes.subarray(0, 8)) !== MAGIC) throw corrupt(path, `it does not begin with ${MAGIC}`);
  const view = new DataView(bytes.buffer);
  const version = view.getUint32(8, true), length = view.getUint32(12, true);
  if (version !== VERSION) throw corrupt(path, `its version is ${version}, but this program reads ${VERSION}`);
  const checksum = createHash("sha256").update(bytes.subarray(0, HEADER - 32)).digest();
  if (!checksum.every((byte, i) => byte === bytes[HEADER - 32 + i])) throw corrupt(path, "its header is damaged");
  return JSON.parse(new TextDecoder().decode(bytes.subarray(16, 16 + length)));
}
