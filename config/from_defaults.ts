/**
 * What is chosen for a run that goes on from a model, unless it is asked for. The rate was measured: docs/experiments.md, 9.
 */

import { type ModelConfig, type Preset, PRESETS } from "./model_config.ts";
import { PRESET_TRAINING } from "./run_config.ts";

/** What suits a run that goes on from a model. */
export const FROM_DEFAULTS = {
  /** Passes over the text: more teach a model of this size its text by heart. */
  epochs: 3,
  /** Longer than from scratch: the moments are fresh, but the weights are worth something. */
  warmup_ratio: 0.1,
  /** Share of the run in which rows of new tokens are trained alone. */
  rows_alone: 0.1,
} as const;

/** Of the rate that suits a model of a size from scratch. */
const RATE_SHARE = 0.2;

/** Peak learning rate and tokens of an update for going on with a model, by its size. */
export function fromTraining(model: Pick<ModelConfig, "hidden_size" | "num_hidden_layers">) {
  const names = Object.keys(PRESETS) as Preset[];
  const fits = (name: Preset) =>
    PRESETS[name].hidden_size <= model.hidden_size && PRESETS[name].num_hidden_layers <= model.num_hidden_layers;
  const { learning_rate, batch_tokens } = PRESET_TRAINING[names.findLast(fits) ?? "tiny"];
  return { learning_rate: RATE_SHARE * learning_rate, batch_tokens };
}
