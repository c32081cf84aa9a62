/** The packed batch: what tasks make and the engine takes, whichever heads it has. */

import { type PackedSequences, packSequences } from "./packed_sequences.ts";

/**
 * B sequences that lie end to end, without padding, and what is asked of them. All arrays are `Int32Array` views of exactly
 * the length that is used. Labels of a head that the model lacks, or that are not known, are empty.
 */
export interface Batch extends PackedSequences {
  /** `[M]` indices into the N tokens, rising: the tokens to predict. Masks are in `input_ids` already. */
  masked_positions: Int32Array;
  /** `[M]` the ids to predict there, or numbers of classes; empty in prediction. */
  labels: Int32Array;
  /** `[B]` the class of each sequence; of sentence pairs 0 where the second follows the first, 1 where it is random. */
  sequence_labels: Int32Array;
  /**
   * `[B, K]` instead of these, for a head on sequences whose outputs are labels of which any number may hold (1 or 0), or
   * values.
   */
  sequence_targets?: Float32Array;
}

/** A sequence, `[CLS]` and `[SEP]` included, with the positions in it whose tokens are asked for, rising. */
export interface MaskedSequence {
  /** `[T]`, special tokens included. */
  ids: Int32Array;
  /** Which tokens are asked for, counted from the beginning of the sequence. */
  positions: readonly number[];
  /** The ids that stood there; none in prediction. */
  labels?: readonly number[];
}

/** A sequence of a text or of a pair, `[CLS]` and `[SEP]` included, with the number of its class; without one in prediction. */
export interface LabeledSequence {
  /** `[T]`, special tokens included. */
  ids: Int32Array;
  /** `[T]`, the segment of each token; without them all are of the first. */
  type_ids?: Int32Array;
  /** Number of its class. */
  label?: number;
  /** Instead of it, what each of the K outputs should be. */
  targets?: readonly number[];
}

/** Packs sequences of one segment each with the tokens that are asked of them. */
export function packMasked(sequences: readonly MaskedSequence[]): Batch {
  const packed = packSequences(sequences.map(({ ids }) => ids));
  const positions = sequences.flatMap(({ positions }, b) => positions.map((i) => packed.cu_seqlens[b] + i));
  return {
    ...packed,
    masked_positions: Int32Array.from(positions),
    labels: Int32Array.from(sequences.flatMap(({ labels }) => labels ?? [])),
    sequence_labels: NONE,
  };
}

/** Packs sequences with their classes or targets. */
export function packLabeled(sequences: readonly LabeledSequence[]): Batch {
  const packed = packSequences(sequences.map(({ ids }) => ids));
  sequences.forEach(({ type_ids }, b) => {
    if (type_ids !== undefined) packed.token_type_ids.set(type_ids, packed.cu_seqlens[b]);
  });
  const targets = sequences.flatMap(({ targets }) => targets ?? []);
  return {
    ...packed,
    masked_positions: NONE,
    labels: NONE,
    sequence_labels: Int32Array.from(sequences.flatMap(({ label }) => label ?? [])),
    ...(targets.length === 0 ? {} : { sequence_targets: Float32Array.from(targets) }),
  };
}

const NONE = new Int32Array(0);
