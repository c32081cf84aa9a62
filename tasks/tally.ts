/** Sums over predictions, and what they say: loss, perplexity, accuracy with its interval. */

/** What a {@linkcode Tally} says. Losses in nats. */
export interface TallyResult {
  /** Mean. */
  loss: number;
  perplexity: number;
  /** Share of predictions whose most probable answer is right. */
  accuracy: number;
  /** 95% interval of the accuracy (Wilson, 1927). */
  accuracy_interval: [number, number];
  /** Share of predictions whose right answer is among the five most probable. */
  top5_accuracy: number;
  count: number;
}

/** Counts predictions. */
export class Tally {
  #loss = 0;
  #right = 0;
  #top5 = 0;
  #count = 0;

  /** Adds one by its loss and the rank of the right answer, 0 for the most probable. */
  add(loss: number, rank: number): void {
    this.#loss += loss;
    if (rank === 0) this.#right++;
    if (rank < 5) this.#top5++;
    this.#count++;
  }

  /** Adds rows. */
  addAll(losses: ArrayLike<number>, ranks: ArrayLike<number>): void {
    for (let i = 0; i < losses.length; i++) this.add(losses[i], ranks[i]);
  }

  /** Nothing, if nothing was counted: a measure over nothing is no figure. */
  get result(): TallyResult | undefined {
    const n = this.#count, loss = this.#loss / n;
    if (n === 0) return undefined;
    return {
      loss,
      perplexity: Math.exp(loss),
      accuracy: this.#right / n,
      accuracy_interval: wilson(this.#right, n),
      top5_accuracy: this.#top5 / n,
      count: n,
    };
  }
}

/** The 95% interval of a share of `right` among `n`. */
export function wilson(right: number, n: number): [number, number] {
  const z = 1.959964, p = right / n;
  const centre = (p + z * z / (2 * n)) / (1 + z * z / n);
  const half = z / (1 + z * z / n) * Math.sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  return [Math.max(0, centre - half), Math.min(1, centre + half)];
}
