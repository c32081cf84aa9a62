/** Ways to pretrain under a name: what a run does where nothing else is asked for. What they are worth: docs/experiments.md. */

import { MASKING_DEFAULTS, type MaskingConfig } from "./batch_config.ts";

/** `fast` reaches a low loss first; `bert` is as published (Devlin et al., 2019, appendix A.2). */
export const RECIPES = ["fast", "bert"] as const;

/** A name in {@linkcode RECIPES}. */
export type Recipe = typeof RECIPES[number];

/** Share of the tokens that a recipe has predicted, at the beginning of a run and at its end. */
export const RECIPE_MASKS: Record<Recipe, Pick<MaskingConfig, "mlm_probability" | "final_mlm_probability">> = {
  fast: { mlm_probability: 0.4, final_mlm_probability: 0.15 },
  bert: { mlm_probability: MASKING_DEFAULTS.mlm_probability },
};

/**
 * How a model without weights begins: knowing frequencies, which `bert` learns in its first hundreds of updates, and with
 * short sequences, from which it learns sooner what neighbours tell.
 */
export const RECIPE_START: Record<Recipe, {
  decoder_bias?: "unigram";
  /** For longer sequences than that, and for so large a share of the run. */
  warmup?: { length: number; ratio: number };
}> = {
  fast: { decoder_bias: "unigram", warmup: { length: 32, ratio: 0.3 } },
  bert: {},
};

/** Up to so many passes over its text, a run by `fast` drops no activation: it cannot learn the text by heart. */
export const FEW_PASSES = 5;
