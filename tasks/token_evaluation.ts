/** How good a model is on held-out text with fixed masks, next to what a guess from word frequencies achieves. */

import type { Batch } from "../config/batch.ts";
import type { Evaluation, UnigramBaseline } from "../config/metric.ts";
import { orDash, percent } from "../config/numbers.ts";
import { Tally } from "./tally.ts";
import type { Answering, Measure } from "./task.ts";
import { Unigram } from "./unigram.ts";

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
  engine: Answering,
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

/** What is measured on held-out batches while a model is trained; nothing, if there are none. */
export function heldOutMeasure(batches: readonly Batch[]): Measure<Evaluation> {
  const take = (engine: Answering, signal: AbortSignal) => evaluate(engine, batches, undefined, signal);
  return { line: { kind: "evaluation" }, atEnd: false, take };
}

/** An evaluation in a line, next to the loss of guessing by frequency. */
export function evaluationLine(evaluation: Evaluation, guessing: number | null): string {
  const { loss, accuracy, accuracy_interval, nsp_accuracy, reference } = evaluation;
  return `held-out loss ${loss.toFixed(3)} (guessing: ${orDash(guessing, (n) => n.toFixed(3))}), ` +
    `accuracy ${percent(accuracy)} (${accuracy_interval.map(percent).join("–")})` +
    (nsp_accuracy === undefined ? "" : `, next sentence ${percent(nsp_accuracy)}`) +
    (reference === undefined ? "" : `; reference loss ${reference.loss.toFixed(3)}`);
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
