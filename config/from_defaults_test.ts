import { assertAlmostEquals, assertEquals } from "@std/assert";
import { presetTraining, rateShare } from "./from_defaults.ts";
import { PRESETS } from "./model_config.ts";
import { PRESET_TRAINING } from "./run_config.ts";

Deno.test("rateShare is a fifth for a model that knows the text, and falls to that from the whole rate", () => {
  assertEquals([0, 0.05, 0.1].map(rateShare), [1, 1, 1]);
  assertEquals([0.4, 0.8, undefined].map(rateShare), [0.2, 0.2, 0.2]);
  assertAlmostEquals(rateShare(0.25), Math.sqrt(0.2), 1e-12); // half way, of a geometric fall
});

Deno.test("presetTraining takes that of the largest preset that fits into the model", () => {
  assertEquals(presetTraining(PRESETS.base), PRESET_TRAINING.base);
  assertEquals(presetTraining({ hidden_size: 384, num_hidden_layers: 6 }), PRESET_TRAINING.mini);
  assertEquals(presetTraining({ hidden_size: 64, num_hidden_layers: 1 }), PRESET_TRAINING.tiny);
});
