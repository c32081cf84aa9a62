/** The baseline that knows nothing but how often each token occurs: a model that is not better has learned nothing. */

/** Predicts every token from frequencies, add-one smoothed. */
export class Unigram {
  /** Entropy of the distribution, nats; `null` if no token occurs. */
  readonly entropy: number | null;
  /** The most frequent token; `null` if none occurs. */
  readonly commonest: number | null;
  readonly #counts: Float64Array;
  readonly #total: number;
  readonly #ranks: Int32Array;

  /** `counts[id]`: how often each token occurs. */
  constructor(counts: Float64Array) {
    this.#counts = counts;
    this.#total = counts.reduce((a, b) => a + b, 0);
    let entropy = 0;
    for (const count of counts) {
      if (count > 0) entropy -= count / this.#total * Math.log(count / this.#total);
    }
    this.entropy = this.#total > 0 ? entropy : null;
    const order = [...counts.keys()].sort((a, b) => counts[b] - counts[a] || a - b);
    this.#ranks = new Int32Array(counts.length);
    order.forEach((id, rank) => this.#ranks[id] = rank);
    this.commonest = this.#total > 0 ? order[0] : null;
  }

  /** −log of the token's probability, nats; also of one that is not in the vocabulary. */
  loss(id: number): number {
    return -Math.log(((this.#counts[id] ?? 0) + 1) / (this.#total + this.#counts.length));
  }

  /** How many tokens are more frequent, the lower id first where equal. */
  rank(id: number): number {
    return this.#ranks[id];
  }
}
