/** Flags that say how text becomes masked batches. */

import { BATCHING, MASK_COUNTS, MASKING } from "../../config/batch_config.ts";
import { RECIPES } from "../../config/recipe.ts";
import { choice, number, shares, toggle } from "./flag.ts";

/** Flags of `pretrain` and `inspect`. */
export const BATCH_FLAGS = {
  recipe: choice(
    RECIPES,
    "bert is as published: 15% masked, dropout 0.1. fast reaches a low loss sooner: it begins with the " +
      "frequencies of tokens, layers that suit their width, heads that look at neighbours and sequences of 32, masks 40% at first and 15% at " +
      "the end, and drops nothing where passes over the text are few; with --from it says the masks alone. Other flags go before it.",
    "fast",
  ),
  "batch-tokens": number({ min: 64, max: 1 << 24, integer: true }, "Tokens of an update.", "by preset"),
  "max-sequence-length": number({ min: 8, max: 4096, integer: true }, "Longest sequence in tokens.", "128"),
  "full-sentences": toggle("Sequences go on in the next document, after a [SEP], until they are full."),
  "short-seq-prob": number(
    { min: 0, max: 1 },
    "Of sentence pairs: share of the documents that give short ones.",
    "0.1",
  ),
  batching: choice(BATCHING, "Batches packed full, or bucketed: of like lengths, for padding elsewhere.", "packed"),
  "mlm-probability": number(
    { min: 0, max: 1 },
    "Share of the tokens that are chosen to be predicted in training; it is 0.15 when the model is measured.",
    "by recipe",
  ),
  masking: choice(
    MASKING,
    "What is chosen as one: a token, a word, an eojeol (all between white space), a span of words.",
    "token",
  ),
  "mask-count": choice(
    MASK_COUNTS,
    "Each with the same chance, or exactly the share of every sequence; spans are exact.",
    "bernoulli",
  ),
  "mask-shares": shares("M/R/K", "Of the chosen tokens: percent masked, replaced at random, kept.", "80/10/10"),
  "static-masking": toggle("The same masks in every epoch."),
};
