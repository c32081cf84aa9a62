/** How good a model is on held-out text with fixed masks, next to what a guess from word frequencies achieves. */

import type { MlmBatch } from "../config/mlm_batch.ts";
import type { Engine } from "../ffi/mod.ts";
import { Tally } from "./tally.ts";
import { Unigram } from "./unigram.ts";

/** Losses in nats per predicted token; predicted are the masked tokens, or every next token of a left-to-right model. */
export interface Evaluation {
  loss: number;
  perplexity: number;
  /** Share of predicted tokens whose most probable prediction is right. */
  accuracy: number;
  /** 95% interval of the accuracy (Wilson, 1927). */
  accuracy_interval: [number, number];
  /** Share of predicted tokens among the five most probable predictions. */
  top5_accuracy: number;
  masked: number;
  /** Next-sentence prediction, where the objective has it. Loss in nats per pair. */
  nsp_loss?: number;
  nsp_accuracy?: number;
  nsp_accuracy_interval?: [number, number];
  nsp_pairs?: number;
}

/** What JSON has where nothing could be measured. */
export const UNMEASURED = {
  loss: null,
  perplexity: null,
  accuracy: null,
  accuracy_interval: null,
  top5_accuracy: null,
  masked: 0,
} as const;

/** What predicting every masked token from the training text's token frequencies gives. */
export interface UnigramBaseline {
  /** Entropy of the training text's distribution of tokens, nats; `null` if it has none. */
  entropy: number | null;
  /** Cross-entropy of the held-out labels under it (add-one smoothed), nats; `null` if there are none. */
  loss: number | null;
  /** Accuracy of always predicting the most frequent token; `null` if there is nothing to predict. */
  accuracy: number | null;
}

/**
 * Evaluates the engine on batches; nothing comes of it if they predict no token.
 *
 * @param onToken is called with each predicted token's id, loss and rank.
 * @param signal ends it before the next batch.
 * @throws the signal's reason.
 */
export async function evaluate(
  engine: Engine,
  batches: readonly MlmBatch[],
  onToken: (label: number, loss: number, rank: number) => void = () => {},
  signal?: AbortSignal,
): Promise<Evaluation | undefined> {
  const tokens = new Tally(), pairs = new Tally();
  for (const batch of batches) {
    if (batch.labels.length === 0 && batch.next_sentence_label === undefined) continue;
    signal?.throwIfAborted();
    const { row_loss, row_rank, sequence_loss, sequence_rank } = await engine.evaluate(batch);
    tokens.addAll(row_loss, row_rank);
    pairs.addAll(sequence_loss, sequence_rank);
    batch.labels.forEach((label, i) => onToken(label, row_loss[i], row_rank[i]));
  }
  if (tokens.result === undefined) return undefined;
  const { count: masked, ...result } = tokens.result;
  const evaluation: Evaluation = { ...result, masked };
  const nsp = pairs.result;
  if (nsp !== undefined) {
    evaluation.nsp_loss = nsp.loss;
    evaluation.nsp_accuracy = nsp.accuracy;
    evaluation.nsp_accuracy_interval = nsp.accuracy_interval;
    evaluation.nsp_pairs = nsp.count;
  }
  return evaluation;
}

/** What always giving the more frequent answer gets of the pairs right; `undefined` if there are no pairs. */
export function nspMajority(batches: readonly MlmBatch[]): number | undefined {
  const labels = batches.flatMap(({ next_sentence_label }) => [...next_sentence_label ?? []]);
  if (labels.length === 0) return undefined;
  const ones = labels.reduce((sum, label) => sum + label, 0) / labels.length;
  return Math.max(ones, 1 - ones);
}

/** `counts[id]`: how often each token occurs in the training text. */
export function unigramBaseline(counts: Float64Array, batches: readonly MlmBatch[]): UnigramBaseline {
  const unigram = new Unigram(counts);
  const tally = new Tally();
  for (const { labels } of batches) {
    for (const label of labels) tally.add(unigram.loss(label), unigram.rank(label));
  }
  const { loss = null, accuracy = null } = tally.result ?? {};
  return { entropy: unigram.entropy, loss, accuracy };
}
