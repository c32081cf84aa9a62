/**
 * What a text is like once it is tokenized, and what masking did to it: counts for the report and for the watchdogs.
 * Decides nothing. Called by the pretrain command when a run begins.
 */

import type { MlmBatch } from "../config/mlm_batch.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import type { Shard } from "./shards.ts";

/** A tokenized text in numbers. */
export interface TextStatistics {
  tokens: number;
  sentences: number;
  documents: number;
  /** SHA-256 of the shard's payload. */
  sha256: string;
  /** Tokens per word; words and punctuation marks are counted as the pre-tokenizer cuts them. */
  fertility: number;
  /** Share of the tokens that are `[UNK]`. */
  unknown_share: number;
  /** Tokens of the vocabulary that occur. */
  vocabulary_used: number;
  /** Share of the tokens that stand in a sentence that occurred before, word for word. */
  repeated_share: number;
  /** The most frequent tokens, with their share of the text. */
  most_frequent: { token: string; share: number }[];
}

/** What the collator did to held-out batches. */
export interface MaskingStatistics {
  sequences: number;
  /** With `[CLS]` and `[SEP]`. */
  tokens: number;
  masked: number;
  /** Of the masked tokens: replaced by `[MASK]`, by another token, not replaced. Sums to 1. */
  mask_share: number;
  random_share: number;
  kept_share: number;
}

const MOST_FREQUENT = 10;
/** Sentences that are remembered to find repetitions among. */
const REMEMBERED = 1 << 17;
const CHUNK = 1 << 20;

/** Counts a shard; reads it once. */
export function textStatistics(shard: Shard, tokenizer: Tokenizer): TextStatistics {
  const { counts, header } = shard;
  const ids = [...counts.keys()].filter((id) => counts[id] > 0).sort((a, b) => counts[b] - counts[a] || a - b);
  const words = ids.reduce((sum, id) => tokenizer.isContinuation(id) ? sum : sum + counts[id], 0);
  const total = Math.max(1, header.tokens);
  return {
    tokens: header.tokens,
    sentences: header.sentences,
    documents: header.documents,
    sha256: header.sha256,
    fertility: header.tokens / Math.max(1, words),
    unknown_share: counts[tokenizer.special.unk] / total,
    vocabulary_used: ids.length,
    repeated_share: repeatedShare(shard),
    most_frequent: ids.slice(0, MOST_FREQUENT).map((id) => ({
      token: tokenizer.tokenOf(id),
      share: counts[id] / total,
    })),
  };
}

/**
 * Share of the tokens in sentences that occurred before. Of a text with too many different sentences to remember, those
 * are looked at whose hash is a multiple of 2, 4, 8, …: all copies of a sentence, or none.
 */
export function repeatedShare(shard: Shard, remembered = REMEMBERED): number {
  let sampled = 1;
  const seen = new Map<number, { copies: number; length: number }>();
  for (const { hash, length } of sentenceHashes(shard)) {
    if (hash % sampled !== 0) continue;
    const known = seen.get(hash);
    if (known !== undefined) known.copies++;
    else seen.set(hash, { copies: 1, length });
    while (seen.size > remembered) {
      sampled *= 2;
      for (const other of seen.keys()) if (other % sampled !== 0) seen.delete(other);
    }
  }
  let all = 0, different = 0;
  for (const { copies, length } of seen.values()) {
    all += copies * length;
    different += length;
  }
  return all === 0 ? 0 : 1 - different / all;
}

/** A 52-bit hash of each sentence (two multiplicative ones), and its tokens. */
function* sentenceHashes(shard: Shard): Generator<{ hash: number; length: number }> {
  let ids = shard.buffer(0), from = 0;
  let start = 0;
  for (const length of shard.sentenceLengths) {
    if (start + length > from + ids.length) {
      from = start;
      ids = shard.buffer(Math.min(Math.max(CHUNK, length), shard.header.tokens - start));
      shard.read(start, ids);
    }
    let high = 0x811C9DC5, low = 0x9747B28C;
    for (let i = start - from; i < start - from + length; i++) {
      high = Math.imul(high ^ ids[i], 0x01000193);
      low = Math.imul(low ^ ids[i], 0x85EBCA6B);
    }
    // The lowest bits, by which sentences are sampled, are mixed from all others.
    low = Math.imul(low ^ (low >>> 15), 0x2C1B3C6D);
    low ^= low >>> 13;
    yield { hash: (high >>> 12) * 2 ** 32 + (low >>> 0), length };
    start += length;
  }
}

/** Counts what became of the masked tokens. A random token that happens to be the right one counts as kept. */
export function maskingStatistics(batches: readonly MlmBatch[], mask: number): MaskingStatistics {
  let sequences = 0, tokens = 0, masked = 0, asMask = 0, asRandom = 0;
  for (const { input_ids, cu_seqlens, masked_positions, labels } of batches) {
    sequences += cu_seqlens.length - 1;
    tokens += input_ids.length;
    masked += labels.length;
    labels.forEach((label, i) => {
      const id = input_ids[masked_positions[i]];
      if (id === mask) asMask++;
      else if (id !== label) asRandom++;
    });
  }
  const n = Math.max(1, masked);
  return {
    sequences,
    tokens,
    masked,
    mask_share: asMask / n,
    random_share: asRandom / n,
    kept_share: (masked - asMask - asRandom) / n,
  };
}
