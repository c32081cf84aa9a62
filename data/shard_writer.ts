/**
 * Writes shards, block by block: in memory there is the block in progress. Blocks may be written to parts of a shard by
 * several workers and appended in order. A shard has its name only when it is complete.
 */

import { createHash } from "node:crypto";
import { ioError } from "../config/cloze_error.ts";
import { createFile, giveName, temporaryBeside, writeAll } from "../config/whole_file.ts";
import { toPages } from "./checked_pages.ts";
import type { CorpusCounts } from "./corpus_report.ts";
import {
  BLOCK_TOKENS,
  type BlockEntry,
  blockLayout,
  ENTRY,
  HEADER,
  headerBytes,
  type Ids,
  LAST,
  type ShardHeader,
} from "./shard_format.ts";

/** Tokens that a block has room for at first; held-out text needs little. */
const FIRST_TOKENS = 1 << 14;

/** Collects whole documents until they are enough for a block. */
class BlockBuilder {
  readonly counts: Float64Array;
  readonly #width: 2 | 4;
  #ids: Ids;
  #words = new Uint8Array(FIRST_TOKENS);
  #sentences = new Uint32Array(1 << 10);
  #tokens = 0;
  #count = 0;
  #documents = 0;
  #inDocument = 0;

  constructor(vocab_size: number, width: 2 | 4) {
    this.counts = new Float64Array(vocab_size);
    this.#width = width;
    this.#ids = width === 4 ? new Uint32Array(FIRST_TOKENS) : new Uint16Array(FIRST_TOKENS);
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
    const content = new Uint8Array(layout.content);
    content.set(new Uint8Array(this.#ids.buffer, 0, tokens * this.#width));
    for (let i = 0; i < tokens; i++) content[layout.words + (i >>> 3)] |= this.#words[i] << (i & 7);
    content.set(new Uint8Array(this.#sentences.buffer, 0, 4 * sentences), layout.ends);
    const bytes = toPages(content);
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
  readonly path: string;
  readonly #file: Deno.FsFile;
  readonly #builder: BlockBuilder;

  /** @throws {ClozeError} `io` */
  constructor(path: string, vocab_size: number, from = 0) {
    this.path = path;
    this.#builder = new BlockBuilder(vocab_size, vocab_size > 0x10000 ? 4 : 2);
    try {
      this.#file = createFile(path);
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
      writeAll(this.#file, bytes);
    } catch (error) {
      throw ioError(error, "write", this.path);
    }
  }

  /** Writes at the beginning, flushes to the disk if asked to, and closes. */
  close(header?: Uint8Array): void {
    try {
      if (header !== undefined) {
        this.#file.seekSync(0, Deno.SeekMode.Start);
        this.write(header);
        this.#file.syncSync();
      }
    } catch (error) {
      throw ioError(error, "write", this.path);
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
    this.#writer = new BlockWriter(temporaryBeside(path), vocab_size, HEADER);
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
      giveName(writer.path, this.#path);
    } catch (error) {
      throw ioError(error, "write", this.#path);
    }
    return header;
  }

  /** Gives up: nothing is left of the file. */
  discard(): void {
    try {
      this.#writer.close();
      Deno.removeSync(this.#writer.path);
    } catch {
      // It was closed, or is not there: then there is nothing to give up.
    }
  }
}
