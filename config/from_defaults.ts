/**
 * What is chosen for a run that goes on from a model, unless it is asked for. The rate was measured: docs/experiments.md, 9 and 18.
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

/**
 * Share of the learning rate from scratch for going on with a model, by what it knows of the text: by how much of the loss
 * of guessing from frequencies it stays below that. One that knows the text well is only tuned to it, while one that knows
 * next to nothing of it has much to learn and little to lose.
 *
 * @param known from 0 to 1; nothing if there is no text to measure it on.
 */
export function rateShare(known: number | undefined): number {
  const { least, all_below, least_above } = RATE_SHARE;
  if (known === undefined) return least;
  const careful = (known - all_below) / (least_above - all_below);
  return least ** Math.min(1, Math.max(0, careful));
}

/** The whole rate where a model knows less than `all_below` of a text, the least where it knows more than `least_above`. */
const RATE_SHARE = { least: 0.2, all_below: 0.1, least_above: 0.4 };

/** Peak learning rate and tokens of an update for a model from scratch, by its size. */
export function presetTraining(model: Pick<ModelConfig, "hidden_size" | "num_hidden_layers">) {
  const names = Object.keys(PRESETS) as Preset[];
  const fits = (name: Preset) =>
    PRESETS[name].hidden_size <= model.hidden_size && PRESETS[name].num_hidden_layers <= model.num_hidden_layers;
  return PRESET_TRAINING[names.findLast(fits) ?? "tiny"];
}
