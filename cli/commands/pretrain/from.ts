/**
 * A run that goes on from a model: which flags it takes, what it keeps of the model, and the folder that it starts with.
 * Called by the pretrain command.
 */

import { program } from "../../../config/called.ts";
import { ClozeError } from "../../../config/cloze_error.ts";
import { exists, makeFolder } from "../../../config/folder.ts";
import type { ModelConfig } from "../../../config/model_config.ts";
import { counted, grouped } from "../../../config/numbers.ts";
import type { OtherText, RunOrigin } from "../../../config/run_config.ts";
import type { CorpusSource } from "../../../data/mod.ts";
import { Engine } from "../../../ffi/mod.ts";
import { type ModelFolder, openModelFolder } from "../../../model/model_folder.ts";
import { engineHeads, type ModelHeads } from "../../../model/model_heads.ts";
import { headChange, weightsHash } from "../../../model/next_model.ts";
import { pretrainingTask, taskFor } from "../../../tasks/registry.ts";
import { otherFiles } from "../../corpus.ts";
import { countedWords, writeExtended } from "../../extended_vocabulary.ts";
import { resolve } from "../../paths.ts";
import { bold, note } from "../../terminal.ts";
import type { PretrainOptions } from "./flags.ts";

/** Flags that say what a model or its vocabulary is: a model that is there says it itself. */
const MODEL_FLAGS = [
  "config",
  "architecture",
  "preset",
  "tokenizer",
  "vocab-size",
  "lowercase",
  "pre-tokenizer",
  "special-token",
] as const;
/** Flags that only a run from a model has a use for. */
const FROM_FLAGS = ["as", "extend", "replay", "reference"] as const;

/** How often a new token has to occur in the text. */
const MIN_FREQUENCY = 2;

/** Refuses flags that do not go together with `--from`, or without it. */
export function checkFrom(values: PretrainOptions, data: readonly string[], output: string): void {
  if (values.from === undefined) {
    const given = FROM_FLAGS.find((name) => values[name] !== undefined);
    if (given === undefined) return;
    throw new ClozeError("usage", `--${given} is for a run that goes on from a model, but there is no --from`, {
      hint: "give the model's folder with --from DIR, or leave it out",
    });
  }
  const given = MODEL_FLAGS.find((name) => values[name] !== undefined);
  if (given !== undefined) {
    throw new ClozeError("usage", `--${given} is for a new model, but --from brings one with its vocabulary`, {
      hint: given === "special-token" || given === "vocab-size"
        ? `leave it out; new tokens are added with --extend N, or by name with: ${program()} extend-vocab`
        : "leave it out, or leave --from out to begin with random weights",
    });
  }
  if (data.length === 0) {
    throw new ClozeError("usage", "--from goes on with a model on your text, but no text is given", {
      hint: "give it with --data PATH…",
    });
  }
  const from = resolve(values.from);
  if (from === output || from.startsWith(`${output}/`)) {
    throw new ClozeError("usage", `the model ${values.from} lies in the output folder ${output}`, {
      hint: "give a new folder as --output; to make the run in that folder longer: " +
        `${program()} pretrain --resume ${values.output} --steps N, --epochs N or --budget TIME`,
    });
  }
}

/** A model to go on from, with what is kept of it. */
export interface Origin {
  origin: RunOrigin;
  model: ModelConfig;
  /** Name of the task. */
  objective: string;
}

/**
 * Opens the model that `--from` names.
 *
 * @throws {ClozeError} what is wrong with it, or that it cannot be trained for that.
 */
export async function originOf(values: PretrainOptions): Promise<Origin | undefined> {
  if (values.from === undefined) return undefined;
  const path = resolve(values.from);
  const folder = await openOrigin(path, values.as);
  const objective = values.objective ?? taskFor(folder.heads).name;
  await tryWeights(folder, pretrainingTask(objective).heads);
  const origin: RunOrigin = {
    path,
    ...(values.as === undefined ? {} : { as: values.as }),
    sha256: await weightsHash(folder),
    vocabulary: folder.tokenizer.size,
    ...(values.extend === undefined ? {} : { extend: values.extend }),
  };
  return { origin, model: folder.config, objective };
}

/** Opens the weights as a run will and closes them: what is wrong with them is told before a text is prepared. */
async function tryWeights({ config, heads, path, weights }: ModelFolder, asked: ModelHeads): Promise<void> {
  const { may_be_missing } = headChange(heads, asked, path);
  const smallest = { max_tokens: 1, max_sequences: 1, max_masked: 1, max_sequence_length: 1 };
  const place = { engine: "fused", device: "cpu", dtype: "f32", threads: 1, seed: 0 } as const;
  const engine = await Engine.open({
    config,
    heads: engineHeads(asked),
    weights,
    may_be_missing,
    ...place,
    ...smallest,
  });
  engine.close();
}

async function openOrigin(path: string, as: string | undefined): Promise<ModelFolder> {
  if (await exists(path)) return await openModelFolder(path, { as });
  throw new ClozeError("input", `there is no model in ${path}: it is not there`, {
    hint: "give the folder of a model with --from: one with config.json, tokenizer and weights",
  });
}

/** The other texts of a run, as the flags have it. */
export async function otherTexts(
  values: PretrainOptions,
): Promise<{ replay?: OtherText & { share: number }; reference?: OtherText }> {
  const replay = values.replay === undefined
    ? undefined
    : { files: await otherFiles("replay", [values.replay.path], values), share: values.replay.share };
  const reference = values.reference === undefined
    ? undefined
    : { files: await otherFiles("reference", values.reference, values) };
  return { ...(replay === undefined ? {} : { replay }), ...(reference === undefined ? {} : { reference }) };
}

/** What a run needs to make the folder that it starts with. */
interface Beginning {
  output: string;
  corpus: CorpusSource;
  threads: number;
}

/**
 * The model that a run starts with, which has learned nothing yet: the one it goes on from, or that with more tokens, which
 * is made in the run's folder.
 *
 * @throws {ClozeError} `input` if the model is not there, or is another one than when the run was begun.
 */
export async function startModel(origin: RunOrigin, { output, corpus, threads }: Beginning): Promise<ModelFolder> {
  const folder = await openOrigin(origin.path, origin.as);
  if (await weightsHash(folder) !== origin.sha256) {
    throw new ClozeError("input", `the model in ${origin.path} is not the one that the run was begun with`, {
      hint: "its weights have changed: give another --output, or put the old ones back",
    });
  }
  const { config: { num_hidden_layers, hidden_size }, tokenizer } = folder;
  note(
    bold("start    ") + `${origin.path}: ${counted(num_hidden_layers, "layer")} of ${grouped(hidden_size)}, ` +
      `a vocabulary of ${grouped(tokenizer.size)}`,
  );
  if (origin.extend === undefined || corpus === "practice") return folder;
  const extended = `${output}/data/extended`;
  await makeFolder(`${output}/data`);
  await Deno.remove(extended, { recursive: true }).catch(() => {}); // of a run that was begun otherwise
  const { words } = await countedWords(corpus, folder, { flag: "extend", threads });
  await writeExtended(folder, extended, words, [], {
    flag: "extend",
    add: origin.extend,
    min_frequency: MIN_FREQUENCY,
  });
  return await openModelFolder(extended);
}
