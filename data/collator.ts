/**
 * The masking collator: sequences → a packed {@linkcode Batch}. Every sequence's mask is a pure function of (seed,
 * epoch, sequence), so it depends neither on its neighbours in a batch nor on who makes the batch.
 */

import type { MaskingConfig } from "../config/batch_config.ts";
import type { Batch } from "../config/batch.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import { BEGINS, CONTINUES, ENDS, Masker, maskRate, OPENS, SPECIAL, type TokenKinds } from "./masking.ts";
import { Random, STREAMS } from "./rng.ts";
import type { TrainingSequence } from "./sequences.ts";

/** The largest batch that can come: what buffers are planned for. */
export interface BatchLimits {
  /** Most tokens of a batch. */
  max_tokens: number;
  /** Most sequences of a batch. */
  max_sequences: number;
  /** Most tokens to predict in a batch. */
  max_masked: number;
  /** Most tokens of a sequence, special tokens included. */
  max_sequence_length: number;
}

/** What masking has to know of a vocabulary. */
export function tokenKinds(tokenizer: Tokenizer): TokenKinds {
  const kinds = Uint8Array.from(
    { length: tokenizer.size },
    (_, id) => tokenizer.isSpecial(id) ? SPECIAL : tokenizer.startsWord(id) ? BEGINS : CONTINUES,
  );
  const ends = Uint8Array.from(
    { length: tokenizer.size },
    (_, id) => tokenizer.isSpace(id) ? OPENS : tokenizer.endsWord(id) ? ENDS : 0,
  );
  const ordinary = Int32Array.from(kinds.keys()).filter((id) => kinds[id] !== SPECIAL);
  return { mask: tokenizer.special.mask, kinds, ends, ordinary };
}

/** Fills one batch after the other in the same memory. */
export class Collator {
  readonly #masking: MaskingConfig;
  readonly #masker: Masker;
  readonly #choose: Random;
  readonly #replace: Random;
  readonly #arrays: Batch;
  #tokens = 0;
  #sequences = 0;
  #masked = 0;
  #pairs = 0;

  constructor(
    seed: number,
    masking: MaskingConfig,
    tokens: TokenKinds,
    limits: Omit<BatchLimits, "max_sequence_length">,
  ) {
    this.#masking = masking;
    this.#masker = new Masker(masking, tokens);
    this.#choose = new Random(seed, STREAMS.mask);
    this.#replace = new Random(seed, STREAMS.replace);
    this.#arrays = {
      input_ids: new Int32Array(limits.max_tokens),
      token_type_ids: new Int32Array(limits.max_tokens),
      position_ids: new Int32Array(limits.max_tokens),
      cu_seqlens: new Int32Array(limits.max_sequences + 1),
      masked_positions: new Int32Array(limits.max_masked),
      labels: new Int32Array(limits.max_masked),
      sequence_labels: new Int32Array(limits.max_sequences),
    };
  }

  /**
   * Empties the batch. The arrays of the last one are used again.
   *
   * @param done share of the run that is done.
   */
  clear(done: number): void {
    this.#masker.mlm_probability = maskRate(this.#masking, done);
    this.#tokens =
      this.#sequences =
      this.#masked =
      this.#pairs =
        0;
  }

  /** Appends a sequence, masked as its number has it in that epoch. */
  add({ index, ids, second, next_sentence_label }: TrainingSequence, epoch: number): void {
    const { input_ids, token_type_ids, position_ids, cu_seqlens, masked_positions, labels } = this.#arrays;
    const start = this.#tokens, end = start + ids.length;
    input_ids.set(ids, start);
    token_type_ids.fill(0, start, start + second).fill(1, start + second, end);
    for (let i = start; i < end; i++) position_ids[i] = i - start;
    const choose = this.#choose.at(epoch, index), replace = this.#replace.at(epoch, index);
    this.#masker.mask(input_ids, start, end, choose, replace, (position, id) => {
      masked_positions[this.#masked] = position;
      labels[this.#masked++] = id;
    });
    if (next_sentence_label !== undefined) this.#arrays.sequence_labels[this.#pairs++] = next_sentence_label;
    this.#tokens = end;
    cu_seqlens[++this.#sequences] = end;
  }

  /** The batch so far, as views. */
  batch(): Batch {
    const { input_ids, token_type_ids, position_ids, cu_seqlens, masked_positions, labels, sequence_labels } =
      this.#arrays;
    return {
      input_ids: input_ids.subarray(0, this.#tokens),
      token_type_ids: token_type_ids.subarray(0, this.#tokens),
      position_ids: position_ids.subarray(0, this.#tokens),
      cu_seqlens: cu_seqlens.subarray(0, this.#sequences + 1),
      masked_positions: masked_positions.subarray(0, this.#masked),
      labels: labels.subarray(0, this.#masked),
      sequence_labels: sequence_labels.subarray(0, this.#pairs),
    };
  }
}
