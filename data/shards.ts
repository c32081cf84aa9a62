/**
 * Tokenized text on disk: written once, read at random. The format is specified in docs/shards.md. A shard is complete or
 * it is not there: it is written under a temporary name, flushed and renamed.
 */

import { createHash } from "node:crypto";
import { ClozeError, ioError } from "../config/cloze_error.ts";

const MAGIC = "CLZSHARD";
const VERSION = 1;
/** Bytes before the payload. */
const HEADER = 4096;
const CHUNK = 1 << 20;

/** What a shard says of itself. */
export interface ShardHeader {
  dtype: "u16" | "u32";
  tokens: number;
  sentences: number;
  documents: number;
  vocab_size: number;
  /** What it was made from: files, tokenizer and options. */
  source: string;
  /** Of the payload. */
  sha256: string;
}

/** Writes one shard, document by document. */
export class ShardWriter {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  readonly #wide: boolean;
  readonly #hash = createHash("sha256");
  readonly #header: Omit<ShardHeader, "sha256">;
  readonly #sentences: number[] = [];
  readonly #documents: number[] = [];
  #pending: number[] = [];

  private constructor(path: string, file: Deno.FsFile, header: Omit<ShardHeader, "sha256">) {
    this.#path = path;
    this.#file = file;
    this.#wide = header.dtype === "u32";
    this.#header = header;
  }

  /** @throws {ClozeError} `io` */
  static async create(path: string, vocab_size: number, source: string): Promise<ShardWriter> {
    const dtype = vocab_size > 0x10000 ? "u32" : "u16";
    try {
      const file = await Deno.open(`${path}.tmp`, { write: true, create: true, truncate: true });
      await file.seek(HEADER, Deno.SeekMode.Start);
      return new ShardWriter(path, file, { dtype, tokens: 0, sentences: 0, documents: 0, vocab_size, source });
    } catch (error) {
      throw ioError(error, "write", path);
    }
  }

  /** Appends a document: the ids of each sentence. Empty sentences are left out, and documents of only those. */
  add(sentences: readonly number[][]): void {
    let count = 0;
    for (const ids of sentences) {
      if (ids.length === 0) continue;
      for (const id of ids) this.#pending.push(id);
      this.#sentences.push(ids.length);
      this.#header.tokens += ids.length;
      count++;
    }
    if (count > 0) this.#documents.push(count);
    if (this.#pending.length >= CHUNK) this.#flush();
  }

  #flush(): void {
    this.#write(this.#wide ? Uint32Array.from(this.#pending) : Uint16Array.from(this.#pending));
    this.#pending = [];
  }

  #write(values: Uint16Array | Uint32Array): void {
    const bytes = new Uint8Array(values.buffer as ArrayBuffer, values.byteOffset, values.byteLength);
    this.#hash.update(bytes);
    try {
      for (let at = 0; at < bytes.length;) at += this.#file.writeSync(bytes.subarray(at));
    } catch (error) {
      throw ioError(error, "write", this.#path);
    }
  }

  /** Completes the file and gives it its name. */
  async finish(): Promise<ShardHeader> {
    if (!this.#wide && this.#header.tokens % 2 === 1) this.#pending.push(0); // aligns what follows
    this.#flush();
    this.#write(Uint32Array.from(this.#sentences));
    this.#write(Uint32Array.from(this.#documents));
    const header: ShardHeader = {
      ...this.#header,
      sentences: this.#sentences.length,
      documents: this.#documents.length,
      sha256: this.#hash.digest("hex"),
    };
    const text = new TextEncoder().encode(JSON.stringify(header));
    const bytes = new Uint8Array(HEADER);
    bytes.set(new TextEncoder().encode(MAGIC));
    new DataView(bytes.buffer).setUint32(8, VERSION, true);
    new DataView(bytes.buffer).setUint32(12, text.length, true);
    bytes.set(text, 16);
    try {
      await this.#file.seek(0, Deno.SeekMode.Start);
      for (let at = 0; at < bytes.length;) at += await this.#file.write(bytes.subarray(at));
      await this.#file.syncData();
      this.#file.close();
      await Deno.rename(`${this.#path}.tmp`, this.#path);
    } catch (error) {
      throw ioError(error, "write", this.#path);
    }
    return header;
  }
}

/** A shard, open for reading. Only sentence and document lengths are held in memory; ids are read where asked for. */
export class Shard implements Disposable {
  readonly header: ShardHeader;
  /** Tokens of each sentence. */
  readonly sentenceLengths: Uint32Array;
  /** Sentences of each document. */
  readonly documentLengths: Uint32Array;
  /** How often each id occurs. */
  readonly counts: Float64Array;
  readonly #file: Deno.FsFile;
  readonly #size: number;

  private constructor(
    file: Deno.FsFile,
    header: ShardHeader,
    parts: { sentences: Uint32Array; documents: Uint32Array; counts: Float64Array },
  ) {
    this.#file = file;
    this.header = header;
    this.#size = header.dtype === "u32" ? 4 : 2;
    this.sentenceLengths = parts.sentences;
    this.documentLengths = parts.documents;
    this.counts = parts.counts;
  }

  /** The header alone, or `undefined` if there is no such file. */
  static async peek(path: string): Promise<ShardHeader | undefined> {
    let file;
    try {
      file = await Deno.open(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw ioError(error, "read", path);
    }
    try {
      return readHeader(file, path);
    } finally {
      file.close();
    }
  }

  /** @throws {ClozeError} `input` if the file is not a whole shard, `io` if it cannot be read. */
  static async open(path: string): Promise<Shard> {
    const file = await Deno.open(path).catch((error) => {
      throw ioError(error, "read", path);
    });
    try {
      const header = readHeader(file, path);
      return new Shard(file, header, readPayload(file, path, header));
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Reads `out.length` ids from token `start` on. */
  read(start: number, out: Uint16Array | Uint32Array): void {
    const bytes = new Uint8Array(out.buffer, out.byteOffset, out.byteLength);
    this.#file.seekSync(HEADER + start * this.#size, Deno.SeekMode.Start);
    for (let at = 0; at < bytes.length;) {
      const read = this.#file.readSync(bytes.subarray(at));
      if (read === null) throw new ClozeError("io", "a shard became shorter while it was being read");
      at += read;
    }
  }

  /** An array that `read` can fill. */
  buffer(length: number): Uint16Array | Uint32Array {
    return this.#size === 4 ? new Uint32Array(length) : new Uint16Array(length);
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

function corrupt(path: string, why: string): ClozeError {
  return new ClozeError("input", `${path} is not a whole shard: ${why}`, {
    hint: "delete the file: it is made again from the text",
  });
}

function readHeader(file: Deno.FsFile, path: string): ShardHeader {
  const bytes = new Uint8Array(HEADER);
  for (let at = 0; at < HEADER;) {
    const read = file.readSync(bytes.subarray(at));
    if (read === null) throw corrupt(path, "it is shorter than its header");
    at += read;
  }
  if (new TextDecoder().decode(bytes.subarray(0, 8)) !== MAGIC) throw corrupt(path, `it does not begin with ${MAGIC}`);
  const view = new DataView(bytes.buffer);
  const version = view.getUint32(8, true), length = view.getUint32(12, true);
  if (version !== VERSION) throw corrupt(path, `its version is ${version}, but this program reads ${VERSION}`);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(16, 16 + length)));
  } catch {
    throw corrupt(path, "its header is damaged");
  }
}

function readPayload(file: Deno.FsFile, path: string, header: ShardHeader) {
  const { tokens, sentences, documents, dtype, vocab_size } = header;
  const hash = createHash("sha256");
  const counts = new Float64Array(vocab_size);
  const read = (bytes: Uint8Array) => {
    for (let at = 0; at < bytes.length;) {
      const count = file.readSync(bytes.subarray(at));
      if (count === null) throw corrupt(path, "it is cut off");
      at += count;
    }
    hash.update(bytes);
  };
  for (let left = tokens; left > 0;) {
    const n = Math.min(left, CHUNK);
    const ids = dtype === "u32" ? new Uint32Array(n) : new Uint16Array(n);
    read(new Uint8Array(ids.buffer));
    for (const id of ids) {
      if (id >= vocab_size) throw corrupt(path, `it has the id ${id}, but a vocabulary of ${vocab_size}`);
      counts[id]++;
    }
    left -= n;
  }
  if (dtype === "u16" && tokens % 2 === 1) read(new Uint8Array(2));
  const parts = { sentences: new Uint32Array(sentences), documents: new Uint32Array(documents), counts };
  read(new Uint8Array(parts.sentences.buffer));
  read(new Uint8Array(parts.documents.buffer));
  if (hash.digest("hex") !== header.sha256) throw corrupt(path, "its checksum is wrong");
  return parts;
}
