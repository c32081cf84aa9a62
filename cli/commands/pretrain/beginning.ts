/**
 * What a run has before its first update, or after its last checkpoint: tokenizer, configuration, the texts of its model
 * folder, and where its weights are. Called by the pretrain command.
 */

import type { ModelConfig } from "../../../config/model_config.ts";
import { folderOf } from "../../../config/whole_file.ts";
import type { EngineOptions } from "../../../ffi/mod.ts";
import { longestText } from "../../../model/families.ts";
import { parseModelConfig } from "../../../model/model_config.ts";
import type { ModelHeads } from "../../../model/model_heads.ts";
import { modelConfigJson } from "../../../model/written_config.ts";
import type { ModelFolder } from "../../../model/model_folder.ts";
import { headChange, textsFor } from "../../../model/next_model.ts";
import { pretrainingTask } from "../../../tasks/registry.ts";
import { type Tokenizer, tokenizerFiles } from "../../../tokenizer/mod.ts";
import { checkedTokenizer } from "../../checked_tokenizer.ts";
import { learnTokenizer } from "../../learn_tokenizer.ts";
import { note } from "../../terminal.ts";
import { noteTokenizer } from "../../tokenizer_notes.ts";
import { startModel } from "./from.ts";
import { checkSizes } from "./model.ts";
import type { Plan } from "./plan.ts";

/** What a run begins with, or goes on with. */
export interface Beginning {
  tokenizer: Tokenizer;
  model: ModelConfig;
  /** By name. */
  files: Record<string, string>;
  /** Nothing for random weights. */
  weights: Pick<
    EngineOptions,
    "weights" | "may_be_missing" | "training_state" | "decoder_bias" | "inner_initializer_range" | "neighbour_attention"
  >;
}

/**
 * Opens the run's own model if it has one, the one that it goes on from, or a new one.
 *
 * @throws {ClozeError} what is wrong with it, or with its sizes.
 */
export async function beginningOf(plan: Plan, threads: number): Promise<Beginning> {
  const beginning = plan.run.from === undefined ? await newModel(plan, threads) : await keptModel(plan, threads);
  checkSizes(plan.training, beginning.model, beginning.tokenizer);
  return beginning;
}

/** A model that the flags say, with the run's own tokenizer if it has one, the one asked for, or one that is learned. */
async function newModel(plan: Plan, threads: number): Promise<Beginning> {
  const path = plan.weights === undefined ? plan.tokenizerPath : folderOf(plan.weights.weights);
  const tokenizer = path === undefined
    ? (await learnTokenizer(plan.corpus, { ...plan.vocabulary, threads })).tokenizer
    : await checkedTokenizer(path);
  const config = plan.modelConfig(tokenizer.size);
  // transformers neither uses nor trains the row of this id.
  const model = plan.weights === undefined ? { ...config, pad_token_id: tokenizer.special.pad } : config;
  const files = {
    "config.json": modelConfigJson(model, headsFor(plan), tokenizer.special),
    ...tokenizerFiles(tokenizer, longestText(model)),
  };
  return { tokenizer, model, files, weights: { ...plan.weights } };
}

/** A model whose files are kept as they are. */
async function keptModel(plan: Plan, threads: number): Promise<Beginning> {
  const { output, corpus } = plan;
  if (plan.weights !== undefined) {
    const folder = folderOf(plan.weights.weights);
    return await kept(plan, { path: folder, as: undefined }, await checkedTokenizer(folder), plan.weights);
  }
  const folder = await startModel(plan.run.from!, { output, corpus, threads });
  noteTokenizer(folder.tokenizer);
  const { may_be_missing, leftOut } = headChange(folder.heads, headsFor(plan), folder.path);
  if (leftOut !== "") note(`         left out: ${leftOut}`);
  return await kept(plan, folder, folder.tokenizer, { weights: folder.weights, may_be_missing });
}

async function kept(
  plan: Plan,
  folder: Pick<ModelFolder, "path" | "as">,
  tokenizer: Tokenizer,
  weights: Beginning["weights"],
): Promise<Beginning> {
  const files = await textsFor(headsFor(plan), folder);
  return { tokenizer, model: parseModelConfig(files["config.json"], `${folder.path}/config.json`), files, weights };
}

/** The heads that a run's task asks for. */
function headsFor({ training }: Plan): ModelHeads {
  return pretrainingTask(training.objective).heads;
}
