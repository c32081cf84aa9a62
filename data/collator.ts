/**
 * The masking collator: sequences → a packed {@linkcode MlmBatch} (Devlin et al., 2019, section 3.1, task 1). Every
 * sequence's mask is a pure function of (seed, epoch, sequence), so it does not depend on its neighbours in a batch.
 */

import type { MlmBatch } from "../config/mlm_batch.ts";
import { Random, STREAMS } from "./rng.ts";

/** How tokens are chosen and what becomes of them. */
export interface MaskingOptions {
  seed: number;
  /** Chance of a token to be chosen; special tokens never are. */
  mlm_probability: number;
  vocab_size: number;
  special: { cls: number; sep: number; mask: number };
  /** Whether an id is a special token: never chosen, never a replacement. */
  isSpecial: (id: number) => boolean;
}

/** Of the chosen tokens, this share becomes `[MASK]`, the next a random token; the rest stays. */
const MASK_SHARE = 0.8, RANDOM_SHARE = 0.1;

/** Most tokens that will be chosen among `tokens`, with a margin of eight standard deviations. */
export function maxMasked(tokens: number, mlm_probability: number): number {
  const deviation = Math.sqrt(tokens * mlm_probability * (1 - mlm_probability));
  return Math.min(tokens, Math.ceil(tokens * mlm_probability + 8 * deviation) + 1);
}

/** Fills one batch after the other in the same memory. */
export class Collator {
  readonly #options: MaskingOptions;
  readonly #mask: Random;
  readonly #replace: Random;
  readonly #ordinary: Int32Array;
  readonly #arrays: MlmBatch;
  #tokens = 0;
  #sequences = 0;
  #masked = 0;

  constructor(options: MaskingOptions, limits: { max_tokens: number; max_sequences: number; max_masked: number }) {
    this.#options = options;
    this.#mask = new Random(options.seed, STREAMS.mask);
    this.#replace = new Random(options.seed, STREAMS.replace);
    this.#ordinary = Int32Array.from(Array(options.vocab_size).keys()).filter((id) => !options.isSpecial(id));
    this.#arrays = {
      input_ids: new Int32Array(limits.max_tokens),
      token_type_ids: new Int32Array(limits.max_tokens),
      position_ids: new Int32Array(limits.max_tokens),
      cu_seqlens: new Int32Array(limits.max_sequences + 1),
      masked_positions: new Int32Array(limits.max_masked),
      labels: new Int32Array(limits.max_masked),
    };
  }

  /** Empties the batch. The arrays of the last one are used again. */
  clear(): void {
    this.#tokens = this.#sequences = this.#masked = 0;
  }

  /** Appends `[CLS] ids [SEP]`, masked as sequence `index` of that epoch. */
  add(ids: ArrayLike<number>, epoch: number, index: number): void {
    const { special, mlm_probability, isSpecial } = this.#options;
    const { input_ids, position_ids, cu_seqlens, masked_positions, labels } = this.#arrays;
    const start = this.#tokens;
    const mask = this.#mask.at(epoch, index), replace = this.#replace.at(epoch, index);
    input_ids[start] = special.cls;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i], at = start + 1 + i;
      input_ids[at] = id;
      // One draw a token, chosen or not: what happens to a token does not depend on the others.
      if (mask.uniform() >= mlm_probability || isSpecial(id) || this.#masked === labels.length) continue;
      labels[this.#masked] = id;
      masked_positions[this.#masked++] = at;
      const action = replace.uniform();
      const other = this.#ordinary[replace.below(this.#ordinary.length)];
      if (action < MASK_SHARE) input_ids[at] = special.mask;
      else if (action < MASK_SHARE + RANDOM_SHARE) input_ids[at] = other;
    }
    this.#tokens = start + ids.length + 2;
    input_ids[this.#tokens - 1] = special.sep;
    for (let i = start; i < this.#tokens; i++) position_ids[i] = i - start;
    cu_seqlens[++this.#sequences] = this.#tokens;
  }

  /** The batch so far, as views. */
  batch(): MlmBatch {
    const { input_ids, token_type_ids, position_ids, cu_seqlens, masked_positions, labels } = this.#arrays;
    return {
      input_ids: input_ids.subarray(0, this.#tokens),
      token_type_ids: token_type_ids.subarray(0, this.#tokens),
      position_ids: position_ids.subarray(0, this.#tokens),
      cu_seqlens: cu_seqlens.subarray(0, this.#sequences + 1),
      masked_positions: masked_positions.subarray(0, this.#masked),
      labels: labels.subarray(0, this.#masked),
    };
  }
}
