/**
 * The parts of the shard format that its writer and its reader share: sizes, the header, the layout of a block. Specified
 * in docs/shards.md. Knows no file but for the header.
 */

import { createHash } from "node:crypto";
import { ClozeError, messageOf } from "../config/cloze_error.ts";
import { PAGE, pagesFor } from "./checked_pages.ts";
import type { CorpusCounts } from "./corpus_report.ts";

const MAGIC = "CLZSHARD";
const VERSION = 3;
/** Bytes before the first block. The last 32 are the checksum of the others. */
export const HEADER = 4096;
/** Bytes of a block's entry in the directory. */
export const ENTRY = 56;
/** Tokens after which a block is closed; it ends with a document. */
export const BLOCK_TOKENS = 1 << 20;
/** In the list of sentences: the document ends here. */
export const LAST = 0x80000000;

/** An array of ids as a shard has them. */
export type Ids = Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

/** What a shard says of itself. */
export interface ShardHeader {
  /** What an id takes. */
  dtype: "u16" | "u32";
  /** How many of them there are. */
  tokens: number;
  /** Lines with text in them. */
  sentences: number;
  /** Texts of their own. */
  documents: number;
  /** Parts that are read one by one. */
  blocks: number;
  /** Ids are below it. */
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

/** Where the parts of a block begin in its content, how long that is, and how many bytes its pages are. */
export function blockLayout(tokens: number, sentences: number, width: number) {
  const words = aligned(tokens * width);
  const ends = words + aligned(Math.ceil(tokens / 8));
  const content = ends + aligned(4 * sentences);
  return { words, ends, content, bytes: PAGE * pagesFor(content) };
}

/** The header as the first bytes of a file. */
export function headerBytes(header: ShardHeader): Uint8Array {
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

/** Tokens of a sentence, as the list of sentences has it. */
export const sentenceLength = (sentence: number): number => sentence % LAST;

/** Whether a sentence is the last one of its document. */
export const endsDocument = (sentence: number): boolean => sentence >= LAST;

/** Reads all of `bytes` from an offset. */
export function readAt(file: Deno.FsFile, offset: number, bytes: Uint8Array, path: string): void {
  file.seekSync(offset, Deno.SeekMode.Start);
  for (let at = 0; at < bytes.length;) {
    const read = file.readSync(bytes.subarray(at));
    if (read === null) throw corrupt(path, "it is cut off");
    at += read;
  }
}

/** What is said of a file that is damaged, and what it is made from. */
export function corrupt(path: string, why: string, what = "shard", from = "text, which has to be there"): ClozeError {
  return new ClozeError("input", `${path} is not a whole ${what}: ${why}`, {
    hint: `delete that file and go on with the run (--resume): it is made again from the ${from}`,
  });
}

/** Opens a file for reading; only a regular one, because others may never end. */
export function openRegular(path: string): Deno.FsFile {
  if (!Deno.statSync(path).isFile) throw corrupt(path, "it is not a regular file");
  return Deno.openSync(path);
}

/** A header that a program wrote. */
function isHeader(value: unknown): value is ShardHeader {
  if (typeof value !== "object" || value === null) return false;
  const { dtype, source, sha256, ...rest } = value as Record<string, unknown>;
  const counts = ["tokens", "sentences", "documents", "blocks", "vocab_size"].map((name) => rest[name]);
  return (dtype === "u16" || dtype === "u32") && typeof source === "string" && typeof sha256 === "string" &&
    counts.every((count) => Number.isSafeInteger(count) && count as number >= 0);
}

/** The header of a file, checked. */
export function readHeader(file: Deno.FsFile, path: string): ShardHeader {
  const bytes = new Uint8Array(HEADER);
  if (file.statSync().size < HEADER) throw corrupt(path, "it is shorter than its header");
  readAt(file, 0, bytes, path);
  if (new TextDecoder().decode(bytes.subarray(0, 8)) !== MAGIC) throw corrupt(path, `it does not begin with ${MAGIC}`);
  const view = new DataView(bytes.buffer);
  const version = view.getUint32(8, true), length = view.getUint32(12, true);
  if (version !== VERSION) throw corrupt(path, `its version is ${version}, but this program reads ${VERSION}`);
  const checksum = createHash("sha256").update(bytes.subarray(0, HEADER - 32)).digest();
  if (!checksum.every((byte, i) => byte === bytes[HEADER - 32 + i])) throw corrupt(path, "its header is damaged");
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder().decode(bytes.subarray(16, Math.min(16 + length, HEADER - 32))));
  } catch (error) {
    throw corrupt(path, `its header is not JSON: ${messageOf(error)}`);
  }
  if (!isHeader(header)) throw corrupt(path, "its header lacks what every shard has");
  return header;
}
