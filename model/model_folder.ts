/** Opens a model folder, made by cloze or by transformers: configuration, tokenizer and weights that belong together. */

import { ClozeError } from "../config/cloze_error.ts";
import { shown } from "../config/json_object.ts";
import type { ModelConfig } from "../config/model_config.ts";
import { LONGEST_FILE, readWholeText, regularFile } from "../config/regular_file.ts";
// Not from mod.ts, which also loads all that learning a vocabulary takes: predict would start later.
import { loadTokenizer } from "../tokenizer/files.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import { checkModelFiles } from "./checksums.ts";
import { parseModelConfig } from "./model_config.ts";
import { type ModelHeads, parseModelHeads } from "./model_heads.ts";
import { WeightsWatch } from "./weights_watch.ts";

/** The parts of a model folder. */
export interface ModelFolder {
  path: string;
  config: ModelConfig;
  heads: ModelHeads;
  tokenizer: Tokenizer;
  /** Path of model.safetensors. */
  weights: string;
  /** Says whether that file is still the same. */
  watch: WeightsWatch;
}

/** @throws {ClozeError} naming what is missing or disagrees. */
export async function openModelFolder(path: string): Promise<ModelFolder> {
  if (typeof path !== "string" || path === "") {
    throw new ClozeError("usage", `the model is ${shown(path)}, but has to be the path of a folder`);
  }
  const weights = `${path}/model.safetensors`;
  const watch = await exists(weights) ? new WeightsWatch(weights) : undefined;
  const checked = checkModelFiles(path); // beside the tokenizer, which takes longer
  checked.catch(() => {});
  const text = await readWholeText(`${path}/config.json`, LONGEST_FILE.config, "read the model");
  const config = parseModelConfig(text, `${path}/config.json`);
  const heads = parseModelHeads(text, `${path}/config.json`);
  const tokenizer = await loadTokenizer(path, "model");
  // A vocabulary may be smaller than the embedding, which is often padded to a round number, but never larger.
  if (tokenizer.size > config.vocab_size) {
    throw new ClozeError(
      "input",
      `${path}: the tokenizer has ${tokenizer.size} tokens, but config.json says vocab_size ${config.vocab_size}`,
      { hint: "tokenizer and model belong to different runs" },
    );
  }
  if (watch === undefined) {
    throw new ClozeError("input", `${path} has no model.safetensors`, {
      hint: "a run has one after its first checkpoint; pytorch_model.bin has to be saved as safetensors first",
    });
  }
  await regularFile(weights, "read the model");
  await checked;
  return { path, config, heads, tokenizer, weights, watch };
}

const exists = (path: string) => Deno.stat(path).then(() => true, () => false);
