/** Which tokens of a vocabulary are nearest to a word, by the cosine of their embeddings. Knows no model. */

/** Word embeddings with their lengths. */
export class Embeddings {
  readonly #rows: Float32Array;
  readonly #width: number;
  readonly #lengths: Float64Array;

  /** @param rows `[V, E]` */
  constructor(rows: Float32Array, vocab_size: number) {
    this.#rows = rows;
    this.#width = rows.length / vocab_size;
    this.#lengths = Float64Array.from({ length: vocab_size }, (_, id) => Math.sqrt(this.#dot(id, this.#row(id))));
  }

  /** The `count` ids that are nearest to the mean of some tokens' embeddings, of those that `counts` lets through. */
  nearest(
    ids: readonly number[],
    count: number,
    counts: (id: number) => boolean,
  ): { id: number; similarity: number }[] {
    const mean = new Float32Array(this.#width);
    for (const id of ids) this.#row(id).forEach((x, i) => mean[i] += x / ids.length);
    const length = Math.sqrt(mean.reduce((sum, x) => sum + x * x, 0));
    const all: { id: number; similarity: number }[] = [];
    for (let id = 0; id < this.#lengths.length; id++) {
      const lengths = length * this.#lengths[id];
      if (lengths > 0) all.push({ id, similarity: this.#dot(id, mean) / lengths });
    }
    all.sort((a, b) => b.similarity - a.similarity || a.id - b.id);
    const nearest: typeof all = [];
    for (const one of all) {
      if (nearest.length === count) break;
      if (counts(one.id)) nearest.push(one);
    }
    return nearest;
  }

  #row(id: number): Float32Array {
    return this.#rows.subarray(id * this.#width, (id + 1) * this.#width);
  }

  #dot(id: number, other: Float32Array): number {
    const from = id * this.#width;
    let sum = 0;
    for (let i = 0; i < this.#width; i++) sum += this.#rows[from + i] * other[i];
    return sum;
  }
}
