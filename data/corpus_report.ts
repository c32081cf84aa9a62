/**
 * What was found while a corpus was read: how much, what was wrong with it, and how much of it is repeated. In bounded
 * memory, and mergeable: the sum over parts does not depend on how the corpus was cut.
 */

import type { UnknownCauses } from "../config/metric.ts";

/** Most hashes that are kept; the share of repeated lines is then known to about ±0.2 percentage points. */
const MOST_HASHES = 1 << 17;

/** The numbers, as a shard's header has them. */
export interface CorpusCounts {
  /** Texts of their own. */
  documents: number;
  /** Lines with text in them. */
  sentences: number;
  /** Lines or records that were not valid UTF-8. */
  invalid: number;
  /** Records without text. */
  empty: number;
  /** Records that were left out because they are no such record: too many fields, too few. */
  malformed: number;
  /** TSV files whose quotes are read as text. */
  unquoted: number;
  /** Share of the lines that an earlier line is equal to: exact for small corpora, estimated from a sample otherwise. */
  duplicate_share: number;
  /** Of held-out text that was given: share of its lines that are trained on, too; `null` if it has none. */
  in_training?: number | null;
  /** Why words became `[UNK]`; missing if none did, or if it was not recorded. */
  unknown?: UnknownCauses;
}

/** A report that can be sent to another thread. */
export interface ReportState extends Omit<CorpusCounts, "duplicate_share" | "in_training" | "unknown"> {
  /** Of 2^level different lines one is kept. */
  level: number;
  /** Hashes of the kept lines. */
  hashes: Float64Array;
  /** How often each of them occurred. */
  counts: Float64Array;
}

/** Counts lines, and samples them by their hash: of 2^level different lines it keeps one, with all its repetitions. */
export class CorpusReport {
  /** Texts of their own. */
  documents = 0;
  /** Lines with text in them. */
  sentences = 0;
  /** Lines or records that were not valid UTF-8. */
  invalid = 0;
  /** Records without text. */
  empty = 0;
  /** Records that were left out because they are no such record: too many fields, too few. */
  malformed = 0;
  /** TSV files whose quotes are read as text. */
  unquoted = 0;
  #level = 0;
  #seen = new Map<number, number>();

  /** Counts a line with text in it: `bytes[from..to)`. */
  sentence(bytes: Uint8Array, from: number, to: number): void {
    this.sentences++;
    if (this.#level > 0 && classOf(bytes, from, to) % 2 ** this.#level !== 0) return;
    const key = hash(bytes, from, to);
    this.#seen.set(key, (this.#seen.get(key) ?? 0) + 1);
    if (this.#seen.size > MOST_HASHES) this.#raise(this.#level + 1);
  }

  #raise(level: number): void {
    this.#level = level;
    for (const key of this.#seen.keys()) if (Math.floor(key / 2 ** 32) % 2 ** level !== 0) this.#seen.delete(key);
    if (this.#seen.size > MOST_HASHES) this.#raise(level + 1);
  }

  /** Adds what another report found. */
  merge(other: ReportState): void {
    this.documents += other.documents;
    this.sentences += other.sentences;
    this.invalid += other.invalid;
    this.empty += other.empty;
    this.malformed += other.malformed;
    this.unquoted += other.unquoted;
    for (let i = 0; i < other.hashes.length; i++) {
      this.#seen.set(other.hashes[i], (this.#seen.get(other.hashes[i]) ?? 0) + other.counts[i]);
    }
    this.#raise(Math.max(this.#level, other.level)); // what only one of them has sampled goes away
  }

  /** Share of the lines that the other report has seen, too, as exact as `duplicate_share`; `null` if there are none. */
  shareIn(other: CorpusReport): number | null {
    const level = Math.max(this.#level, other.#level);
    let all = 0, both = 0;
    for (const [key, count] of this.#seen) {
      if (Math.floor(key / 2 ** 32) % 2 ** level !== 0) continue;
      all += count;
      if (other.#seen.has(key)) both += count;
    }
    return all === 0 ? null : Math.round(1e4 * both / all) / 1e4;
  }

  /** Everything, for `merge`. */
  get state(): ReportState {
    const { documents, sentences, invalid, empty, malformed, unquoted } = this;
    const hashes = Float64Array.from(this.#seen.keys()), counts = Float64Array.from(this.#seen.values());
    const level = this.#level;
    return { documents, sentences, invalid, empty, malformed, unquoted, level, hashes, counts };
  }

  /** The numbers. */
  get counts(): CorpusCounts {
    const { documents, sentences, invalid, empty, malformed, unquoted } = this;
    const sampled = this.#seen.values().reduce((a, b) => a + b, 0);
    const duplicate_share = sampled === 0 ? 0 : Math.round(1e4 * (1 - this.#seen.size / sampled)) / 1e4;
    return { documents, sentences, invalid, empty, malformed, unquoted, duplicate_share };
  }
}

/** Of a line its class, 21 bits, from its length and its two ends: lines that are equal are of the same class. */
function classOf(bytes: Uint8Array, from: number, to: number): number {
  let h = 0x9E3779B9 ^ (to - from);
  for (let i = from, end = Math.min(to, from + 24); i < end; i++) h = Math.imul(h ^ bytes[i], 0x01000193);
  for (let i = Math.max(from, to - 24); i < to; i++) h = Math.imul(h ^ bytes[i], 0x01000193);
  return mix(h) >>> 11;
}

/** The class and 32 bits that depend on every byte, as one exact number. */
function hash(bytes: Uint8Array, from: number, to: number): number {
  let h = 0x85EBCA6B;
  for (let i = from; i < to; i++) {
    h = Math.imul(h ^ bytes[i], 0xCC9E2D51);
    h ^= h >>> 15;
  }
  return classOf(bytes, from, to) * 2 ** 32 + (mix(h) >>> 0);
}

/** The last step of MurmurHash3: every bit of the result depends on every bit of `h`. */
function mix(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85EBCA6B);
  h = Math.imul(h ^ (h >>> 13), 0xC2B2AE35);
  return h ^ (h >>> 16);
}
