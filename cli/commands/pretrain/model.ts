/** The model that a pretraining run is asked to train, and whether it fits its tokenizer and its sequences. */

import { ClozeError } from "../../../config/cloze_error.ts";
import type { ModelConfig, UnsizedModelConfig } from "../../../config/model_config.ts";
import { LONGEST_FILE, readWholeText } from "../../../config/regular_file.ts";
import type { PlannedTraining } from "../../../config/run_config.ts";
import { longestText, newModel } from "../../../model/families.ts";
import { parseUnsizedConfig } from "../../../model/model_config.ts";
import type { Tokenizer } from "../../../tokenizer/mod.ts";
import { resolve } from "../../paths.ts";
import type { PretrainOptions } from "./flags.ts";

/** The model of a preset or a config.json; without `vocab_size` it takes the tokenizer's. */
export async function modelOf(options: PretrainOptions): Promise<UnsizedModelConfig> {
  const { config, preset = "tiny", architecture } = options;
  if (config === undefined) {
    return { ...newModel(preset, architecture), vocab_size: null };
  }
  const path = resolve(config);
  return parseUnsizedConfig(await readWholeText(path, LONGEST_FILE.config, "read the config"), path);
}

/** @throws {ClozeError} if the tokenizer has more tokens than the model, or a sequence is longer than the model or the update. */
export function checkSizes(training: PlannedTraining, model: ModelConfig, tokenizer: Tokenizer): void {
  if (model.vocab_size < tokenizer.size) {
    throw new ClozeError(
      "input",
      `the config has vocab_size ${model.vocab_size}, but the tokenizer has ${tokenizer.size} tokens`,
      { hint: "leave vocab_size out of the config, or make it at least as large" },
    );
  }
  const longest = longestText(model);
  if (training.max_sequence_length > longest) {
    throw new ClozeError(
      "usage",
      `--max-sequence-length is ${training.max_sequence_length}, but the model has only ${longest} positions`,
      { hint: `give at most --max-sequence-length ${longest}` },
    );
  }
  if (training.batch_tokens < training.max_sequence_length) {
    throw new ClozeError(
      "usage",
      `--batch-tokens is ${training.batch_tokens}, less than one sequence of ${training.max_sequence_length}`,
    );
  }
}
