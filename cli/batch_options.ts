/** Which batches a run has: what the flags that `pretrain` and `inspect` share say of masking and sampling. */

import {
  MASKING_DEFAULTS,
  type MaskingConfig,
  SAMPLING_DEFAULTS,
  type SamplingConfig,
} from "../config/batch_config.ts";
import { ClozeError } from "../config/cloze_error.ts";
import { type Recipe, RECIPE_MASKS } from "../config/recipe.ts";
import type { PlannedTraining } from "../config/run_config.ts";
import type { BatchOptions } from "../data/mod.ts";
import { pretrainingTask } from "../tasks/registry.ts";
import { microBatches } from "../training/train.ts";
import type { BATCH_FLAGS } from "./flags/batch_flags.ts";
import type { Values } from "./flags/flag.ts";

/** The flags that say how text becomes masked batches. */
type BatchValues = Values<typeof BATCH_FLAGS>;

/** Which tokens are masked, by a recipe where the flags do not say it. */
export function maskingOf(values: BatchValues, recipe: Recipe): MaskingConfig {
  const { masking, "mask-count": count, "mask-shares": shares } = values;
  if (masking === "span" && count === "bernoulli") {
    throw new ClozeError(
      "usage",
      "--masking span takes exactly the share of every sequence, not --mask-count bernoulli",
    );
  }
  return {
    ...masksOf(values, recipe),
    masking: masking ?? MASKING_DEFAULTS.masking,
    mask_count: masking === "span" ? "exact" : count ?? MASKING_DEFAULTS.mask_count,
    mask_share: shares?.[0] ?? MASKING_DEFAULTS.mask_share,
    random_share: shares?.[1] ?? MASKING_DEFAULTS.random_share,
  };
}

/** The share to predict; it cannot change where every epoch has the same masks. */
function masksOf(
  values: BatchValues,
  recipe: Recipe,
): Pick<MaskingConfig, "mlm_probability" | "final_mlm_probability"> {
  if (values["mlm-probability"] !== undefined) return { mlm_probability: values["mlm-probability"] };
  const masks = RECIPE_MASKS[recipe];
  const { mlm_probability, final_mlm_probability = mlm_probability } = masks;
  return values["static-masking"] === true ? { mlm_probability: final_mlm_probability } : masks;
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
export function batchOptions(training: PlannedTraining): BatchOptions {
  const batch_tokens = Math.max(microBatches(training).tokens, training.max_sequence_length);
  return { ...training, batch_tokens };
}

/** The batches that a run is measured on: with BERT's share of masks, whatever its recipe, so that runs can be compared. */
export function evaluationOptions(training: PlannedTraining): BatchOptions {
  const options = batchOptions(training);
  if (training.recipe === undefined) return options; // one of version 0.1.0 goes on as it began
  const { final_mlm_probability: _, ...rest } = options;
  const { mlm_probability } = { ...MASKING_DEFAULTS, ...pretrainingTask(training.objective).options };
  return { ...rest, mlm_probability };
}
