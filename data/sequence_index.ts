/**
 * Where the training sequences of a shard are: one entry of 32 bytes each, in a file beside the shard, so that any of them
 * are found with one read and none have to be in memory. Made once for a shard and a way of cutting it; specified in
 * docs/shards.md. Used by `sequences.ts`.
 */

import { Buffer } from "node:buffer";
import { type SamplingConfig, SEQUENCES } from "../config/batch_config.ts";
import { ClozeError, ioError } from "../config/cloze_error.ts";
import { createFile, giveName, temporaryBeside, writeAll } from "../config/whole_file.ts";
import { CONTENT, PAGE, PageReader, pagesFor, toPages } from "./checked_pages.ts";
import { Random, STREAMS } from "./rng.ts";
import type { Shard } from "./shard.ts";
import { corrupt, endsDocument, openRegular, sentenceLength } from "./shard_format.ts";

/** How documents become sequences. */
export type SequenceKind = SamplingConfig["sequences"];

/** An entry of the index. */
export interface IndexEntry {
  /** Number of the first token, and of the sentence that it is in. */
  token: number;
  sentence: number;
  tokens: number;
  /** Sentences, begun or whole. */
  sentences: number;
  /** Tokens of the first sentence that belong to the sequence before. */
  skip: number;
  /** Number of the document in which it begins, modulo 2³². */
  document: number;
}

const MAGIC = "CLZINDEX";
const VERSION = 3;
/** Bytes of the header, which has the first page for itself. */
const HEADER = 72;
const ENTRY = 32;
/** Entries that are written at once: as many as fill whole pages. */
const WRITTEN = 32 * 8 * CONTENT / ENTRY;
/** A document of pairs is cut into sections of so many sequences' tokens: what has to be read to make one pair. */
const SECTION_SEQUENCES = 32;
/**
 * Share of the full sequences that end early, at a random length up to half. Without short ones, sequences that are all
 * nearly as long as they may be leave room in every batch.
 */
const SHORT = 0.2;
/** `[CLS]` and `[SEP]` */
const SPECIALS = 2;

/** The index, open. */
export class SequenceIndex implements Disposable {
  /** Entries. */
  readonly count: number;
  /** Tokens of all sequences with their special tokens; of sections, without. */
  readonly tokens: number;
  readonly #file: Deno.FsFile;
  readonly #path: string;
  readonly #pages: PageReader;
  readonly #shard: Shard;

  private constructor(path: string, file: Deno.FsFile, header: DataView, shard: Shard) {
    this.#path = path;
    this.#file = file;
    this.#pages = pagesOf(file, path);
    this.#shard = shard;
    this.count = Number(header.getBigUint64(24, true));
    this.tokens = Number(header.getBigUint64(32, true));
  }

  /**
   * Opens the index beside the shard, after making it if it is not there or belongs to another shard. Making it checks
   * every byte of the shard.
   */
  static open(shard: Shard, kind: SequenceKind, max_sequence_length: number): SequenceIndex {
    const path = `${shard.path.replace(/\.shard$/, "")}.${kind}-${max_sequence_length}.index`;
    const found = SequenceIndex.#openFile(path, shard, kind, max_sequence_length);
    if (found !== undefined) return found;
    write(path, shard, kind, max_sequence_length);
    return SequenceIndex.#openFile(path, shard, kind, max_sequence_length)!;
  }

  static #openFile(path: string, shard: Shard, kind: SequenceKind, length: number): SequenceIndex | undefined {
    let file;
    try {
      file = openRegular(path);
      const bytes = new Uint8Array(HEADER), view = new DataView(bytes.buffer);
      const expected = header(shard, kind, length, 0, 0);
      const same = (from: number, to: number) =>
        expected.subarray(from, to).every((byte, i) => byte === bytes[from + i]);
      if (isPage(file, path, bytes) && same(0, 24) && same(40, HEADER)) {
        const pages = 1 + pagesFor(ENTRY * Number(view.getBigUint64(24, true)));
        if (file.statSync().size === PAGE * pages) return new SequenceIndex(path, file, view, shard);
      }
      file.close();
    } catch (error) {
      file?.close();
      if (!(error instanceof Deno.errors.NotFound)) throw ioError(error, "read", path);
    }
    return undefined;
  }

  /** Entries from number `from` to `to`. */
  entries(from: number, to: number): IndexEntry[] {
    const bytes = new Uint8Array(ENTRY * (to - from)), view = new DataView(bytes.buffer);
    this.#pages.read(PAGE, ENTRY * from, bytes);
    const { header } = this.#shard;
    let end = 0;
    return Array.from({ length: to - from }, (_, i) => {
      const u32 = (at: number) => view.getUint32(ENTRY * i + at, true);
      const u64 = (at: number) => u32(at) + 2 ** 32 * u32(at + 4);
      const [token, sentence, tokens, sentences, skip] = [u64(0), u64(8), u32(16), u32(20), u32(24)];
      // What a checksum does not say: that a program wrote it which knew what it did.
      if (token < end || token + tokens > header.tokens || sentence + sentences > header.sentences) {
        throw damaged(this.#path, `its entry ${from + i} lies outside the shard`);
      }
      end = token + tokens;
      return { token, sentence, tokens, sentences, skip, document: u32(28) };
    });
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

const damaged = (path: string, why: string) => corrupt(path, why, "index", "shard");

const pagesOf = (file: Deno.FsFile, path: string) => new PageReader(file, (why) => damaged(path, why));

/** Reads the header, and says whether its page is whole. */
function isPage(file: Deno.FsFile, path: string, header: Uint8Array): boolean {
  try {
    pagesOf(file, path).read(0, 0, header);
    return true;
  } catch (error) {
    if (error instanceof ClozeError) return false;
    throw error;
  }
}

function header(shard: Shard, kind: SequenceKind, length: number, count: number, tokens: number): Uint8Array {
  const bytes = new Uint8Array(HEADER);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(MAGIC));
  view.setUint32(8, VERSION, true);
  view.setUint32(12, SEQUENCES.indexOf(kind), true);
  view.setUint32(16, length, true);
  view.setBigUint64(24, BigInt(count), true);
  view.setBigUint64(32, BigInt(tokens), true);
  bytes.set(Buffer.from(shard.header.sha256, "hex"), 40);
  return bytes;
}

function write(path: string, shard: Shard, kind: SequenceKind, max_sequence_length: number): void {
  const entries = new Uint8Array(ENTRY * WRITTEN);
  const view = new DataView(entries.buffer);
  let used = 0, count = 0, tokens = 0, pages = 0;
  const temporary = temporaryBeside(path);
  try {
    using file = createFile(temporary);
    writeAll(file, new Uint8Array(PAGE)); // the header's, which is known at the end
    const put = (content: Uint8Array) => {
      writeAll(file, toPages(content, pages));
      pages += pagesFor(content.length);
    };
    for (const { entry, length } of cut(shard, kind, max_sequence_length)) {
      view.setBigUint64(used, BigInt(entry.token), true);
      view.setBigUint64(used + 8, BigInt(entry.sentence), true);
      view.setUint32(used + 16, entry.tokens, true);
      view.setUint32(used + 20, entry.sentences, true);
      view.setUint32(used + 24, entry.skip, true);
      view.setUint32(used + 28, entry.document, true);
      used += ENTRY;
      count++;
      tokens += length;
      if (used < entries.length) continue;
      put(entries);
      used = 0;
    }
    put(entries.subarray(0, used));
    file.seekSync(0, Deno.SeekMode.Start);
    writeAll(file, toPages(header(shard, kind, max_sequence_length, count, tokens)));
    file.syncSync();
    giveName(temporary, path);
  } catch (error) {
    try {
      Deno.removeSync(temporary);
    } catch {
      // It is not there.
    }
    throw ioError(error, "write", path);
  }
}

/** The entries, each with the length of its sequence. */
function* cut(
  shard: Shard,
  kind: SequenceKind,
  max_sequence_length: number,
): Generator<{ entry: IndexEntry; length: number }> {
  const most = kind === "pair" ? SECTION_SEQUENCES * max_sequence_length : max_sequence_length - SPECIALS;
  const random = new Random(0, STREAMS.lengths);
  let document = 0, count = 0;
  /** Tokens that sentences are added up to. */
  const target = () =>
    kind === "full" && random.at(0, count).uniform() < SHORT ? 1 + random.below(Math.ceil(most / 2)) : most;
  let enough = target();
  for (const { firstToken, firstSentence, sentences } of shard.blocks()) {
    let at = firstToken;
    let entry: IndexEntry | undefined;
    let separators = 0;
    const take = () => {
      const taken = entry!;
      const length = taken.tokens + separators + (kind === "pair" ? 0 : SPECIALS);
      entry = undefined;
      separators = 0;
      count++;
      enough = target();
      return { entry: taken, length };
    };
    let begins = true; // a document, at this sentence
    for (let s = 0; s < sentences.length; s++) {
      const length = sentenceLength(sentences[s]);
      if (entry !== undefined && begins && kind !== "full") yield take();
      const separator = entry !== undefined && begins ? 1 : 0;
      if (entry !== undefined && entry.tokens + separators + separator + length > enough) yield take();
      else separators += separator;
      // A sentence that is too long on its own is cut at the limit; in a section it stays whole.
      let skip = 0;
      for (; kind !== "pair" && entry === undefined && length - skip > most; skip += most) {
        entry = { token: at + skip, sentence: firstSentence + s, tokens: most, sentences: 1, skip, document };
        yield take();
      }
      if (entry === undefined) {
        entry = { token: at + skip, sentence: firstSentence + s, tokens: length - skip, sentences: 1, skip, document };
      } else {
        entry.tokens += length;
        entry.sentences++;
      }
      at += length;
      begins = endsDocument(sentences[s]);
      if (begins) document = (document + 1) % 2 ** 32;
    }
    if (entry !== undefined) yield take(); // a sequence ends with its block
  }
}
