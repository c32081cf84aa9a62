/** Ways to pretrain under a name: what a run does where nothing else is asked for. What they are worth: docs/experiments.md. */

import type { Preset } from "./model_config.ts";
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
 * How a model without weights begins: knowing frequencies, which `bert` learns in its first hundreds of updates, with
 * short sequences, from which it learns sooner what neighbours tell, and with layers whose first matrices are as large as its width asks for.
 */
export const RECIPE_START: Record<Recipe, {
  decoder_bias?: "unigram";
  /**
   * Whether query, key, value and the first matrix of the feed-forward part begin with the standard deviation
   * 1 / √hidden_size, so that what they make is as large as what goes in. BERT's 0.02 suits a width of 2,500: narrower
   * layers hardly tell one token from another at first.
   */
  inner_by_width?: boolean;
  /** Whether half of the heads begin by looking at the tokens beside each, which random ones need hundreds of updates to learn. */
  neighbour_attention?: boolean;
  /** For longer sequences than that, and for so large a share of the run. */
  warmup?: { length: number; ratio: number };
}> = {
  fast: {
    decoder_bias: "unigram",
    inner_by_width: true,
    neighbour_attention: true,
    warmup: { length: 32, ratio: 0.3 },
  },
  bert: {},
};

/** Peak learning rates of presets of BERT where a recipe takes another than that of all (docs/experiments.md, 19). */
export const RECIPE_RATES: Record<Recipe, Partial<Record<Preset, number>>> = { fast: { tiny: 3e-3 }, bert: {} };

/** Up to so many passes over its text, a run by `fast` drops no activation: it cannot learn the text by heart. */
export const FEW_PASSES = 5;
