/** Opens a model folder, made by cloze or by transformers: configuration, tokenizer and weights that belong together. */

import { ClozeError } from "../config/cloze_error.ts";
import { parseJsonObject, shown } from "../config/json_object.ts";
import type { ModelConfig } from "../config/model_config.ts";
import { LONGEST_FILE, readWholeText, regularFile } from "../config/regular_file.ts";
// Not from mod.ts, which also loads all that learning a vocabulary takes: predict would start later.
import { loadTokenizer } from "../tokenizer/files.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import { checkModelFiles, MODEL_FILES } from "./checksums.ts";
import { readAs } from "./families.ts";
import { parseModelConfig } from "./model_config.ts";
import { type ModelHeads, parseModelHeads } from "./model_heads.ts";
import { findWeights } from "./weights_files.ts";
import { WeightsWatch } from "./weights_watch.ts";

/** The parts of a model folder. */
export interface ModelFolder {
  path: string;
  /** What it was taken for, if its `config.json` names a class that is not known. */
  as: string | undefined;
  config: ModelConfig;
  heads: ModelHeads;
  tokenizer: Tokenizer;
  /** Path of the weights, or of the index of several files. */
  weights: string;
  /** Paths of all files that the weights are in. */
  weightsFiles: string[];
  /** Says whether their files are still the same. */
  watch: WeightsWatch;
}

/**
 * Opens a folder.
 *
 * @param as the family or class to take it for, where `config.json` names one that is not known.
 * @throws {ClozeError} naming what is missing or disagrees.
 */
export async function openModelFolder(path: string, { as }: { as?: string | undefined } = {}): Promise<ModelFolder> {
  if (typeof path !== "string" || path === "") {
    throw new ClozeError("usage", `the model is ${shown(path)}, but has to be the path of a folder`);
  }
  const found = findWeights(path);
  const checked = found.then(async ({ names }) => {
    const watch = new WeightsWatch(names.map((name) => `${path}/${name}`));
    await checkModelFiles(path, [...MODEL_FILES, ...names]); // beside the tokenizer, which takes longer
    return watch;
  });
  checked.catch(() => {}); // what is wrong with the rest of the folder is told first
  const text = await configText(path, as);
  const config = parseModelConfig(text, `${path}/config.json`);
  const heads = parseModelHeads(text, `${path}/config.json`);
  const tokenizer = await loadTokenizer(path, "model", parseJsonObject(text, `${path}/config.json`));
  // A vocabulary may be smaller than the embedding, which is often padded to a round number, but never larger.
  if (tokenizer.size > config.vocab_size) {
    throw new ClozeError(
      "input",
      `${path}: the tokenizer has ${tokenizer.size} tokens, but config.json says vocab_size ${config.vocab_size}`,
      { hint: "tokenizer and model belong to different runs" },
    );
  }
  const { path: weights, names } = await found;
  const weightsFiles = names.map((name) => `${path}/${name}`);
  for (const file of weightsFiles) await regularFile(file, "read the model");
  return { path, as, config, heads, tokenizer, weights, weightsFiles, watch: await checked };
}

/** The text of a folder's `config.json`, as if it named what `as` names. */
export async function configText(folder: string, as: string | undefined): Promise<string> {
  const path = `${folder}/config.json`;
  const text = await readWholeText(path, LONGEST_FILE.config, "read the model");
  return as === undefined ? text : JSON.stringify(readAs(parseJsonObject(text, path), as, path));
}
