/** How good a model is on held-out text with fixed masks, next to what a guess from word frequencies achieves. */

import type { Batch } from "../config/batch.ts";
import type { Evaluation, UnigramBaseline } from "../config/metric.ts";
import type { Engine } from "../ffi/mod.ts";
import { Tally } from "./tally.ts";
import { Unigram } from "./unigram.ts";

export type { Evaluation, UnigramBaseline } from "../config/metric.ts";

/** What JSON has where nothing could be measured. */
export const UNMEASURED = {
  loss: null,
  perplexity: null,
  accuracy: null,
  accuracy_interval: null,
  top5_accuracy: null,
  masked: 0,
} as const;

/**
 * Evaluates the engine on batches; nothing comes of it if they predict no token.
 *
 * @param onToken is called with each predicted token's id, loss and rank.
 * @param signal ends it before the next batch.
 * @throws the signal's reason.
 */
export async function evaluate(
  engine: Engine,
  batches: readonly Batch[],
  onToken: (label: number, loss: number, rank: number) => void = () => {},
  signal?: AbortSignal,
): Promise<Evaluation | undefined> {
  const tokens = new Tally(), pairs = new Tally();
  for (const batch of batches) {
    if (batch.labels.length === 0 && batch.sequence_labels.length === 0) continue;
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
export function nspMajority(batches: readonly Batch[]): number | undefined {
  const labels = batches.flatMap(({ sequence_labels }) => [...sequence_labels]);
  if (labels.length === 0) return undefined;
  const ones = labels.reduce((sum, label) => sum + label, 0) / labels.length;
  return Math.max(ones, 1 - ones);
}

/** `counts[id]`: how often each token occurs in the training text. */
export function unigramBaseline(counts: Float64Array, batches: readonly Batch[]): UnigramBaseline {
  const unigram = new Unigram(counts);
  const tally = new Tally();
  for (const { labels } of batches) {
    for (const label of labels) tally.add(unigram.loss(label), unigram.rank(label));
  }
  const { loss = null, accuracy = null } = tally.result ?? {};
  return { entropy: unigram.entropy, loss, accuracy };
}
