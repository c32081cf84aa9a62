/** A packed batch for sequence classification: B sequences end to end, without padding, and a class each. */
export interface ClassificationBatch {
  /** `[N]` token ids. */
  input_ids: Int32Array;
  /** `[N]` segment ids. */
  token_type_ids: Int32Array;
  /** `[N]` positions, from 0 in each sequence. */
  position_ids: Int32Array;
  /** `[B + 1]` offsets of the sequences, from 0 to N. */
  cu_seqlens: Int32Array;
  /** `[B]` numbers of the classes; empty in prediction. */
  labels: Int32Array;
}
