/** Which batches a run has: what the flags that `pretrain` and `inspect` share say of masking and sampling. */

import {
  MASKING_DEFAULTS,
  type MaskingConfig,
  SAMPLING_DEFAULTS,
  type SamplingConfig,
} from "../config/batch_config.ts";
import { ClozeError } from "../config/cloze_error.ts";
import type { TrainingConfig } from "../config/run_config.ts";
import type { BatchOptions } from "../data/mod.ts";
import { microBatches } from "../training/train.ts";
import type { BATCH_FLAGS } from "./flags/batch_flags.ts";
import type { Values } from "./flags/flag.ts";

/** The flags that say how text becomes masked batches. */
type BatchValues = Values<typeof BATCH_FLAGS>;

/** Which tokens are masked. */
export function maskingOf(values: BatchValues): MaskingConfig {
  const { masking, "mask-count": count, "mask-shares": shares } = values;
  if (masking === "span" && count === "bernoulli") {
    throw new ClozeError(
      "usage",
      "--masking span takes exactly the share of every sequence, not --mask-count bernoulli",
    );
  }
  return {
    mlm_probability: values["mlm-probability"] ?? MASKING_DEFAULTS.mlm_probability,
    masking: masking ?? MASKING_DEFAULTS.masking,
    mask_count: masking === "span" ? "exact" : count ?? MASKING_DEFAULTS.mask_count,
    mask_share: shares?.[0] ?? MASKING_DEFAULTS.mask_share,
    random_share: shares?.[1] ?? MASKING_DEFAULTS.random_share,
  };
}

/**
 * How documents become sequences and batches; next-sentence prediction needs pairs.
 *
 * @param most tokens of a sequence that the model can take.
 */
export function samplingOf(values: BatchValues, most = Infinity): SamplingConfig {
  return {
    max_sequence_length: values["max-sequence-length"] ?? Math.min(SAMPLING_DEFAULTS.max_sequence_length, most),
    sequences: values["full-sentences"] === true ? "full" : SAMPLING_DEFAULTS.sequences,
    short_seq_prob: values["short-seq-prob"] ?? SAMPLING_DEFAULTS.short_seq_prob,
    batching: values.batching ?? SAMPLING_DEFAULTS.batching,
    static_masking: values["static-masking"] ?? SAMPLING_DEFAULTS.static_masking,
  };
}

/** The batches of a run: an update is cut so that the engine can hold each part. */
export function batchOptions(training: TrainingConfig): BatchOptions {
  const batch_tokens = Math.max(microBatches(training.batch_tokens).tokens, training.max_sequence_length);
  return { ...training, batch_tokens };
}
