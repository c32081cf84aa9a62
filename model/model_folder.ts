/** Opens a model folder, made by cloze or by transformers: configuration, tokenizer and weights that belong together. */

import { ClozeError } from "../config/cloze_error.ts";
import { parseJsonObject, shown } from "../config/json_object.ts";
import type { ModelConfig } from "../config/model_config.ts";
import { LONGEST_FILE, readWholeText, regularFile } from "../config/regular_file.ts";
import { nativeFileHash } from "../ffi/file_hash.ts";
// Not from mod.ts, which also loads all that learning a vocabulary takes: predict would start later.
import { loadTokenizer } from "../tokenizer/files.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import { checkModelFiles, MODEL_FILES } from "./checksums.ts";
import { readAs } from "./families.ts";
import { parseModelConfig } from "./model_config.ts";
import { type ModelHeads, parseModelHeads } from "./model_heads.ts";
import { findWeights, WeightsWatch } from "./weights_files.ts";

/** The parts of a model folder. */
export interface ModelFolder extends UnreadFolder {
  /** Text to ids and back. */
  tokenizer: Tokenizer;
}

/** A model folder whose tokenizer has not been read, which takes longest: the core can open the weights meanwhile. */
export interface UnreadFolder {
  /** Of the folder. */
  path: string;
  /** What it was taken for, if its `config.json` names a class that is not known. */
  as: string | undefined;
  /** What the model is. */
  config: ModelConfig;
  /** What stands on its encoder. */
  heads: ModelHeads;
  /** Path of the weights, or of the index of several files. */
  weights: string;
  /** Paths of all files that the weights are in. */
  weightsFiles: string[];
  /** Says whether the files of the weights are still the same. `check` throws a {@linkcode ClozeError} if not. */
  watch: { check(): void };
  /** Reads the tokenizer and waits for the checksums. @throws {ClozeError} naming what is missing or disagrees. */
  readTokenizer: () => Promise<Tokenizer>;
}

/** How a folder is opened. */
export interface FolderOptions {
  /** The family or class to take it for, where `config.json` names one that is not known. */
  as?: string | undefined;
}

/**
 * Opens a folder.
 *
 * @throws {ClozeError} naming what is missing or disagrees.
 */
export async function openModelFolder(path: string, options: FolderOptions = {}): Promise<ModelFolder> {
  const folder = await beginModelFolder(path, options);
  return { ...folder, tokenizer: await folder.readTokenizer() };
}

/**
 * Reads of a folder what an engine needs; nothing may be answered before its tokenizer has been read, too.
 *
 * @throws {ClozeError} naming what is missing.
 */
export async function beginModelFolder(path: string, { as }: FolderOptions = {}): Promise<UnreadFolder> {
  if (typeof path !== "string" || path === "") {
    throw new ClozeError("usage", `the model is ${shown(path)}, but has to be the path of a folder`);
  }
  const text = await configText(path, as);
  const config = parseModelConfig(text, `${path}/config.json`);
  const heads = parseModelHeads(text, `${path}/config.json`);
  const { path: weights, names } = await findWeights(path);
  const weightsFiles = names.map((name) => `${path}/${name}`);
  for (const file of weightsFiles) regularFile(file, "read the model");
  const watch = new WeightsWatch(weightsFiles);
  // On other threads, while the core is opened.
  const checked = checkModelFiles(path, [...MODEL_FILES, ...names], nativeFileHash);
  checked.catch(() => {}); // what is wrong with the tokenizer is told first
  const readTokenizer = async () => {
    const tokenizer = await loadTokenizer(path, "model", parseJsonObject(text, `${path}/config.json`));
    // A vocabulary may be smaller than the embedding, which is often padded to a round number, but never larger.
    if (tokenizer.size > config.vocab_size) {
      throw new ClozeError(
        "input",
        `${path}: the tokenizer has ${tokenizer.size} tokens, but config.json says vocab_size ${config.vocab_size}`,
        { hint: "tokenizer and model belong to different runs" },
      );
    }
    await checked;
    return tokenizer;
  };
  return { path, as, config, heads, weights, weightsFiles, watch, readTokenizer };
}

/** The text of a folder's `config.json`, as if it named what `as` names. */
export async function configText(folder: string, as: string | undefined): Promise<string> {
  const path = `${folder}/config.json`;
  const text = await readWholeText(path, LONGEST_FILE.config, "read the model").catch((error: ClozeError) => {
    if (!(error.cause instanceof Deno.errors.NotFound)) throw error;
    const hint = "a model is a folder with a config.json in it, such as the --output of a pretrain run";
    throw new ClozeError("io", error.message, { hint, cause: error.cause });
  });
  return as === undefined ? text : JSON.stringify(readAs(parseJsonObject(text, path), as, path));
}
