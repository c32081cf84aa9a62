/**
 * What was found while a corpus was read: how much, what was wrong with it, and how much of it is repeated. In bounded
 * memory, and mergeable: the sum over parts does not depend on how the corpus was cut.
 */

/** Most hashes that are kept; the share of repeated lines is then known to about ±0.2 percentage points. */
const MOST_HASHES = 1 << 17;

/** The numbers, as a shard's header has them. */
export interface CorpusCounts {
  documents: number;
  /** Lines with text in them. */
  sentences: number;
  /** Lines or records that were not valid UTF-8. */
  invalid: number;
  /** Records without text. */
  empty: number;
  /** Share of the lines that an earlier line is equal to: exact for small corpora, estimated from a sample otherwise. */
  duplicate_share: number;
}

/** A report that can be sent to another thread. */
export interface ReportState extends Omit<CorpusCounts, "duplicate_share"> {
  level: number;
  hashes: Float64Array;
  counts: Float64Array;
}

/** Counts lines, and samples them by their hash: of 2^level different lines it keeps one, with all its repetitions. */
export class CorpusReport {
  documents = 0;
  sentences = 0;
  invalid = 0;
  empty = 0;
  #level = 0;
  #seen = new Map<number, number>();

  /** Counts a line with text in it. */
  sentence(text: string): void {
    this.sentences++;
    const [low, high] = hash(text);
    if (high % 2 ** this.#level !== 0) return;
    const key = high * 2 ** 21 + (low >>> 11);
    this.#seen.set(key, (this.#seen.get(key) ?? 0) + 1);
    if (this.#seen.size > MOST_HASHES) this.#raise(this.#level + 1);
  }

  #raise(level: number): void {
    this.#level = level;
    for (const key of this.#seen.keys()) if (Math.floor(key / 2 ** 21) % 2 ** level !== 0) this.#seen.delete(key);
    if (this.#seen.size > MOST_HASHES) this.#raise(level + 1);
  }

  /** Adds what another report found. */
  merge(other: ReportState): void {
    this.documents += other.documents;
    this.sentences += other.sentences;
    this.invalid += other.invalid;
    this.empty += other.empty;
    for (let i = 0; i < other.hashes.length; i++) {
      this.#seen.set(other.hashes[i], (this.#seen.get(other.hashes[i]) ?? 0) + other.counts[i]);
    }
    const level = Math.max(this.#level, other.level);
    if (level > this.#level || this.#seen.size > MOST_HASHES) this.#raise(level);
  }

  /** Everything, for `merge`. */
  get state(): ReportState {
    const { documents, sentences, invalid, empty } = this;
    const hashes = Float64Array.from(this.#seen.keys()), counts = Float64Array.from(this.#seen.values());
    return { documents, sentences, invalid, empty, level: this.#level, hashes, counts };
  }

  /** The numbers. */
  get counts(): CorpusCounts {
    const { documents, sentences, invalid, empty } = this;
    const sampled = this.#seen.values().reduce((a, b) => a + b, 0);
    const duplicate_share = sampled === 0 ? 0 : Math.round(1e4 * (1 - this.#seen.size / sampled)) / 1e4;
    return { documents, sentences, invalid, empty, duplicate_share };
  }
}

const pair = new Uint32Array(2);

/** 64 bits that depend on every character: two multiplicative hashes, mixed as in MurmurHash3. */
function hash(text: string): Uint32Array {
  let a = 0x9E3779B9, b = 0x85EBCA6B ^ text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 0xCC9E2D51);
    a ^= a >>> 15;
    b = Math.imul(b + code, 0x01000193) ^ (b >>> 13);
  }
  pair[0] = mix(a ^ b);
  pair[1] = mix(b + Math.imul(a, 0x1B873593));
  return pair;
}

function mix(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85EBCA6B);
  h = Math.imul(h ^ (h >>> 13), 0xC2B2AE35);
  return h ^ (h >>> 16);
}
