/**
 * A shard as training sequences, with `[CLS]` and `[SEP]`, before masking. Any of them can be had by its number and epoch,
 * neighbours with one read. Used by the batch streams.
 */

import type { MaskingConfig, SamplingConfig } from "../config/batch_config.ts";
import { ClozeError } from "../config/cloze_error.ts";
import { counted } from "../config/numbers.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import { PAIR_SPECIALS, type Sentence, sentencePairs } from "./pairs.ts";
import { Random, STREAMS } from "./rng.ts";
import { type IndexEntry, SequenceIndex } from "./sequence_index.ts";
import { HELD_OUT } from "./sentence_encoder.ts";
import type { Shard } from "./shard.ts";
import { endsDocument, sentenceLength } from "./shard_format.ts";

/** Set in an id where an eojeol, a word between white space, begins. */
export const WORD_START = 1 << 30;

/** How a shard is cut. */
export interface SequenceOptions extends Pick<SamplingConfig, "max_sequence_length" | "sequences" | "short_seq_prob"> {
  /** Of the pairs. */
  seed: number;
  /** Says whether eojeols are marked. */
  masking: MaskingConfig["masking"];
}

/** A sequence that is about to be masked. */
export interface TrainingSequence {
  /** Keys its masks. */
  index: number;
  /** With `[CLS]` and `[SEP]`; some with `WORD_START`. */
  ids: Int32Array;
  /** Where the second segment begins: the length, if there is none. */
  second: number;
  next_sentence_label?: 0 | 1;
}

/** Neighbours that are shuffled as one, at most: few, so that batches hold strangers; and enough for a disk. */
const RUN = 32;
/** Pairs that a section may have: their numbers lie so far apart. */
const PAIRS = 2 ** 16;

/** Whether there is text for sentence pairs: several documents, one of several sentences. */
export function makesPairs({ header: { documents, sentences } }: Shard): boolean {
  return documents >= 2 && sentences > documents;
}

/** The sequences of a shard. */
export class Sequences implements Disposable {
  readonly shard: Shard;
  readonly options: SequenceOptions;
  readonly #index: SequenceIndex;
  readonly #marksEojeols: boolean;
  readonly #cls: number;
  readonly #sep: number;
  readonly #pairs: Random;

  /**
   * Opens a shard's sequences; the first time, this reads the shard and writes an index beside it.
   *
   * @throws {ClozeError} `input` if the shard is damaged, or has no two sentences to make pairs of.
   */
  constructor(shard: Shard, tokenizer: Tokenizer, options: SequenceOptions) {
    const { documents, sentences } = shard.header;
    if (options.sequences === "pair" && !makesPairs(shard)) {
      throw new ClozeError(
        "input",
        `sentence pairs need several documents of several sentences, but the text has ${
          counted(sentences, "sentence")
        } in ${counted(documents, "document")}`,
        {
          hint: sentences > documents
            ? `${
              100 * HELD_OUT
            }% of the documents are held out: give more of them, or train without next-sentence prediction`
            : "put one sentence on a line and a blank line between documents, or train without next-sentence prediction",
        },
      );
    }
    this.shard = shard;
    this.options = options;
    this.#index = SequenceIndex.open(shard, options.sequences, options.max_sequence_length);
    const { masking } = options;
    // Where tokens have the white space before them, some words have none: the first one of a sentence.
    this.#marksEojeols = masking === "eojeol" || (masking !== "token" && tokenizer.isSpaced);
    this.#cls = tokenizer.special.cls;
    this.#sep = tokenizer.special.sep;
    this.#pairs = new Random(options.seed, STREAMS.pairs);
  }

  /** Entries: sequences, or sections of documents that several pairs are made of. */
  get count(): number {
    return this.#index.count;
  }

  /** Tokens of an epoch with special tokens; of pairs, about. */
  get tokens(): number {
    return this.#index.tokens;
  }

  /** Entries that are shuffled as one: fewer where they are sections, which are several sequences long. */
  get run(): number {
    const sequences = this.tokens / (Math.max(1, this.count) * this.options.max_sequence_length);
    return Math.max(1, Math.floor(RUN / Math.max(1, sequences)));
  }

  /** Appends what the entries from number `from` to `to` give in that epoch: a sequence each, or all pairs of sections. */
  read(epoch: number, from: number, to: number, out: TrainingSequence[]): void {
    const entries = this.#index.entries(from, to);
    if (this.options.sequences === "pair") entries.forEach((entry, k) => this.#readPairs(epoch, from + k, entry, out));
    else this.#readWhole(from, entries, out);
  }

  /** Sequences that follow one another in the shard: `[CLS]` tokens `[SEP]`, with `[SEP]` between documents. */
  #readWhole(index: number, entries: IndexEntry[], out: TrainingSequence[]): void {
    const first = entries[0], last = entries[entries.length - 1];
    const tokens = this.#tokens(first.token, last.token + last.tokens - first.token);
    const ends = this.options.sequences === "full" ? this.#documentEnds(first, last) : [];
    const all = new Int32Array(tokens.length + ends.length + 2 * entries.length);
    let used = 0, end = 0;
    for (const { token, tokens: count } of entries) {
      const start = used;
      let from = token - first.token;
      const to = from + count;
      all[used++] = this.#cls;
      for (; ends[end] <= to; end++) {
        if (ends[end] === to) continue;
        all.set(tokens.subarray(from, ends[end]), used);
        used += ends[end] - from;
        all[used++] = this.#sep;
        from = ends[end];
      }
      all.set(tokens.subarray(from, to), used);
      used += to - from;
      all[used++] = this.#sep;
      const ids = all.subarray(start, used);
      out.push({ index: index++, ids, second: ids.length });
    }
  }

  #readPairs(epoch: number, i: number, entry: IndexEntry, out: TrainingSequence[]): void {
    const random = this.#pairs.at(epoch, i);
    const pairs = sentencePairs(this.#sentences(entry), this.options, random, (...how) => this.#other(entry, ...how));
    pairs.forEach(({ first, second, next_sentence_label }, k) => {
      const ids = new Int32Array(first.length + second.length + PAIR_SPECIALS);
      ids[0] = this.#cls;
      ids.set(first, 1);
      ids[first.length + 1] = this.#sep;
      ids.set(second, first.length + 2);
      ids[ids.length - 1] = this.#sep;
      out.push({ index: i * PAIRS + k, ids, second: first.length + 2, next_sentence_label });
    });
  }

  /** Ids from token `first` on, with the places where eojeols begin if they are asked for. */
  #tokens(first: number, count: number): Int32Array {
    const ids = this.shard.buffer(count);
    this.shard.readIds(first, ids);
    const tokens = Int32Array.from(ids);
    if (!this.#marksEojeols) return tokens;
    const starts = new Uint8Array(count);
    this.shard.readWordStarts(first, starts);
    for (let i = 0; i < count; i++) if (starts[i] === 1) tokens[i] |= WORD_START;
    return tokens;
  }

  /** Where documents end from one entry to another, in tokens from its beginning. */
  #documentEnds(first: IndexEntry, last: IndexEntry): number[] {
    const sentences = new Uint32Array(last.sentence + last.sentences - first.sentence);
    this.shard.readSentences(first.sentence, sentences);
    const ends: number[] = [];
    let at = -first.skip;
    for (const sentence of sentences) {
      at += sentenceLength(sentence);
      if (endsDocument(sentence)) ends.push(at);
    }
    return ends;
  }

  /** The sentences of a section, or those from number `from` on that have `enough` tokens. */
  #sentences(entry: IndexEntry, choose?: Random, enough = 0): Sentence[] {
    const lengths = new Uint32Array(entry.sentences);
    this.shard.readSentences(entry.sentence, lengths);
    lengths.forEach((length, i) => lengths[i] = sentenceLength(length));
    const from = choose?.below(lengths.length) ?? 0;
    let first = 0, tokens = 0, to = from;
    for (let s = 0; s < from; s++) first += lengths[s];
    for (; to < lengths.length && (choose === undefined || tokens === 0 || tokens < enough); to++) {
      tokens += lengths[to];
    }
    const ids = this.#tokens(entry.token + first, tokens);
    let at = 0;
    return Array.from(lengths.subarray(from, to), (length) => ids.subarray(at, at += length));
  }

  /** Sentences of a section of another document, or after ten tries of any, as BERT's script has it. */
  #other(entry: IndexEntry, random: Random, enough: number): Sentence[] {
    let other = entry;
    for (let tries = 0; tries < 10 && other.document === entry.document; tries++) {
      const i = random.below(this.count);
      [other] = this.#index.entries(i, i + 1);
    }
    return this.#sentences(other, random, enough);
  }

  [Symbol.dispose](): void {
    this.#index[Symbol.dispose]();
  }
}
