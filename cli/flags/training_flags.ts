/** Flags of several commands that train. */

import { PRESETS } from "../../config/model_config.ts";
import { FAMILIES } from "../../model/families.ts";
import { choice, number, toggle } from "./flag.ts";

/** What `--preset` may be. */
export const PRESET_NAMES = Object.keys(PRESETS) as (keyof typeof PRESETS)[];

/** `--architecture` */
export const ARCHITECTURE = choice(
  FAMILIES.map(({ model_type }) => model_type),
  "The family of the models.",
  FAMILIES[0].model_type,
);

/** `--seed` */
export const SEED = number({ min: 0, max: Number.MAX_SAFE_INTEGER, integer: true }, "Seed of everything random.", "0");

/** `--allow-unknown` */
export const ALLOW_UNKNOWN = toggle(
  "Go on where more than 20% of the words are none that the vocabulary can write ([UNK]).",
);

/** `--chart` */
export const CHART = toggle("Draw the loss while it trains, on a terminal.");

/** `--open` */
export const OPEN = toggle("Open the page that follows the run in the browser, or tell its address where that fails.");
