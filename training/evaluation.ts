/** How good a model is on held-out text with fixed masks, next to what a guess from word frequencies achieves. */

import type { MlmBatch } from "../config/mlm_batch.ts";
import type { Engine } from "../ffi/mod.ts";

/** Losses in nats per masked token. */
export interface Evaluation {
  loss: number;
  perplexity: number;
  /** Share of masked tokens whose most probable prediction is right. */
  accuracy: number;
  /** 95% interval of the accuracy (Wilson, 1927). */
  accuracy_interval: [number, number];
  /** Share of masked tokens among the five most probable predictions. */
  top5_accuracy: number;
  masked: number;
}

/** What predicting every masked token from the training text's token frequencies gives. */
export interface UnigramBaseline {
  /** Entropy of the training text's distribution of tokens, nats. */
  entropy: number;
  /** Cross-entropy of the held-out labels under it (add-one smoothed), nats. */
  loss: number;
  /** Accuracy of always predicting the most frequent token. */
  accuracy: number;
}

/** Evaluates the engine on batches. */
export async function evaluate(engine: Engine, batches: readonly MlmBatch[]): Promise<Evaluation> {
  let loss = 0, right = 0, top5 = 0, masked = 0;
  for (const batch of batches) {
    if (batch.labels.length === 0) continue;
    const { row_loss, row_rank } = await engine.evaluate(batch);
    for (let i = 0; i < row_loss.length; i++) {
      loss += row_loss[i];
      if (row_rank[i] === 0) right++;
      if (row_rank[i] < 5) top5++;
    }
    masked += row_loss.length;
  }
  const n = Math.max(1, masked);
  return {
    loss: loss / n,
    perplexity: Math.exp(loss / n),
    accuracy: right / n,
    accuracy_interval: wilson(right, n),
    top5_accuracy: top5 / n,
    masked,
  };
}

/** `counts[id]`: how often each token occurs in the training text. */
export function unigramBaseline(counts: Float64Array, batches: readonly MlmBatch[]): UnigramBaseline {
  const total = counts.reduce((a, b) => a + b, 0);
  let entropy = 0, best = 0;
  counts.forEach((count, id) => {
    if (count > 0) entropy -= count / total * Math.log(count / total);
    if (count > counts[best]) best = id;
  });
  let loss = 0, right = 0, masked = 0;
  for (const { labels } of batches) {
    for (const label of labels) {
      loss -= Math.log((counts[label] + 1) / (total + counts.length));
      if (label === best) right++;
    }
    masked += labels.length;
  }
  const n = Math.max(1, masked);
  return { entropy, loss: loss / n, accuracy: right / n };
}

/** The 95% interval of a share of `right` among `n`. */
export function wilson(right: number, n: number): [number, number] {
  const z = 1.959964, p = right / n;
  const centre = (p + z * z / (2 * n)) / (1 + z * z / n);
  const half = z / (1 + z * z / n) * Math.sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return [Math.max(0, centre - half), Math.min(1, centre + half)];
}
