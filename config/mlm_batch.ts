/**
 * The packed masked-LM batch: what the data room makes and the engine takes. B sequences lie end to end, without
 * padding. All arrays are `Int32Array` views of exactly the length that is used.
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
