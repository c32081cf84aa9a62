/**
 * What a text is like once it is tokenized, and what masking did to it: counts for the report and for the watchdogs.
 * Decides nothing. Called by the pretrain command when a run begins.
 */

import type { Batch } from "../config/batch.ts";
import type { MaskingStatistics, TextStatistics } from "../config/metric.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import type { Shard } from "./shard.ts";
import { unknownOf } from "./unknown_words.ts";

const MOST_FREQUENT = 10;

/** Reads no text: a shard knows how often each token occurs. */
export function textStatistics(shard: Shard, tokenizer: Tokenizer): TextStatistics {
  const { counts, header } = shard;
  const ids = [...counts.keys()].filter((id) => counts[id] > 0).sort((a, b) => counts[b] - counts[a] || a - b);
  const { words, unknown } = unknownOf(counts, tokenizer);
  return {
    tokens: header.tokens,
    sentences: header.sentences,
    documents: header.documents,
    sha256: header.sha256,
    fertility: words === 0 ? null : header.tokens / words,
    words,
    unknown_words: unknown,
    unknown_share: header.tokens === 0 ? null : unknown / header.tokens,
    vocabulary_used: ids.length,
    most_frequent: ids.slice(0, MOST_FREQUENT).map((id) => ({
      token: tokenizer.tokenOf(id),
      share: counts[id] / header.tokens,
    })),
  };
}

/** Counts what became of the masked tokens. A random token that happens to be the right one counts as kept. */
export function maskingStatistics(batches: readonly Batch[], tokenizer: Tokenizer): MaskingStatistics {
  const { mask } = tokenizer.special;
  let sequences = 0, tokens = 0, masked = 0, asMask = 0, asRandom = 0;
  for (const { input_ids, cu_seqlens, masked_positions, labels } of batches) {
    sequences += cu_seqlens.length - 1;
    tokens += input_ids.reduce((sum, id) => id === mask || !tokenizer.isSpecial(id) ? sum + 1 : sum, 0);
    masked += labels.length;
    labels.forEach((label, i) => {
      const id = input_ids[masked_positions[i]];
      if (id === mask) asMask++;
      else if (id !== label) asRandom++;
    });
  }
  const share = (count: number) => (masked === 0 ? null : count / masked);
  return {
    sequences,
    tokens,
    masked,
    mask_share: share(asMask),
    random_share: share(asRandom),
    kept_share: share(masked - asMask - asRandom),
  };
}
