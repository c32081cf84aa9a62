/** The packed masked-LM batch: what the data room makes and the engine takes. */

import { packSequences } from "./packed_sequences.ts";

/**
 * B sequences that lie end to end, without padding. All arrays are `Int32Array` views of exactly the length that is used.
 */
export interface MlmBatch {
  /** `[N]` token ids with the masks applied. */
  input_ids: Int32Array;
  /** `[N]` segment ids. */
  token_type_ids: Int32Array;
  /** `[N]` positions, from 0 in each sequence. */
  position_ids: Int32Array;
  /** `[B + 1]` offsets of the sequences, from 0 to N. */
  cu_seqlens: Int32Array;
  /** `[M]` indices into the N tokens, increasing. */
  masked_positions: Int32Array;
  /** `[M]` the ids that stood at `masked_positions`; empty in prediction. */
  labels: Int32Array;
  /** `[B]` of sentence pairs: 0 where the second segment follows the first, 1 where it is a random one. */
  next_sentence_label?: Int32Array;
}

/** A sequence, `[CLS]` and `[SEP]` included, with the positions in it whose tokens are asked for, rising. */
export interface MaskedSequence {
  ids: Int32Array;
  positions: readonly number[];
  /** The ids that stood there; none in prediction. */
  labels?: readonly number[];
}

/** Packs sequences of one segment each with what is asked of them. */
export function packMasked(sequences: readonly MaskedSequence[]): MlmBatch {
  const packed = packSequences(sequences.map(({ ids }) => ids));
  const positions = sequences.flatMap(({ positions }, b) => positions.map((i) => packed.cu_seqlens[b] + i));
  return {
    ...packed,
    masked_positions: Int32Array.from(positions),
    labels: Int32Array.from(sequences.flatMap(({ labels }) => labels ?? [])),
  };
}
