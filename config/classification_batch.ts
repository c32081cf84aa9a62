/** The batch of sequence classification: what training and inference make and the engine takes. */

import type { PackedSequences } from "./packed_sequences.ts";

/** A packed batch for sequence classification. */
export interface ClassificationBatch extends PackedSequences {
  /** `[B]` numbers of the classes; empty in prediction. */
  labels: Int32Array;
}
