/** The record of a pretraining run, `run.json`: read with what earlier versions left out, written, and compared. */

import { CORPUS_DEFAULTS, type CorpusConfig } from "../config/batch_config.ts";
import { program } from "../config/called.ts";
import { ClozeError } from "../config/cloze_error.ts";
import { exists } from "../config/folder.ts";
import type { ModelConfig } from "../config/model_config.ts";
import { type PlannedRun, type RunConfig, TRAINING_DEFAULTS } from "../config/run_config.ts";
import { readSealed, sealed } from "../config/sealed_json.ts";
import { writeWhole } from "../config/whole_file.ts";
import { DEFAULT_OBJECTIVE } from "../tasks/registry.ts";
import { checkRun } from "./check_run.ts";

/**
 * What `run.json` says of the run in a folder.
 *
 * @param onNote told what a person should know of the file.
 * @throws {ClozeError} `input` if it cannot be read, or there is none.
 */
export async function readRecord(
  output: string,
  onNote: (text: string) => void = () => {},
): Promise<PlannedRun | RunConfig> {
  const path = `${output}/run.json`;
  if (!await exists(path)) throw new ClozeError("input", `${output} is not the folder of a run: it has no run.json`);
  const { value, isSealed } = await readSealed(path);
  const run = value as unknown as PlannedRun | RunConfig;
  if (![run.model, run.training, run.training?.extent, run.data].every((part) => typeof part === "object" && part)) {
    throw new ClozeError("input", `${path} lacks what every run has`, { hint: "it is of another program, or damaged" });
  }
  const whole = {
    ...run,
    model: withDefaults(run.model as ModelConfig),
    training: { ...TRAINING_DEFAULTS, ...run.training, objective: run.training.objective ?? DEFAULT_OBJECTIVE },
    data: { ...run.data, corpus: corpusOf(run.data.corpus) },
  } as PlannedRun | RunConfig;
  checkRun(whole, path);
  if (!isSealed) onNote(`note: ${path} has no checksum; it is taken as it is`);
  return whole;
}

/**
 * A model as records have it, with what those of version 0.1.0 do not say. Its fields stay in their order: the `config.json`
 * that is made from it again is the same file.
 */
function withDefaults(model: ModelConfig): ModelConfig {
  const { model_type = "bert", tie_word_embeddings = true } = model as Partial<ModelConfig>;
  return { ...model, model_type, tie_word_embeddings };
}

/** How text is read. Version 0.1.0 has two names, for JSON records and for tables: mostly the same, or one unused. */
function corpusOf(kept: Partial<CorpusConfig>): CorpusConfig {
  const { text_field, ...corpus } = { ...CORPUS_DEFAULTS, ...kept };
  return text_field === undefined || text_field === corpus.text_column ? corpus : { ...corpus, text_field };
}

/** The record of a run that has begun to train. @throws {ClozeError} `input` */
export async function readRun(output: string, onNote: (text: string) => void): Promise<RunConfig> {
  const run = await readRecord(output, onNote);
  if (isBegun(run)) return run;
  throw new ClozeError("input", `the run in ${output} was stopped before its text was read`, {
    hint: `go on with: ${program()} pretrain --resume ${output}`,
  });
}

/** Whether its text was read. */
export function isBegun(run: PlannedRun | RunConfig): run is RunConfig {
  return run.data.source !== null;
}

/** Writes `run.json`. */
export async function writeRecord(output: string, run: PlannedRun | RunConfig): Promise<void> {
  await writeWhole(`${output}/run.json`, sealed(run));
}

/** Takes back the record of a run whose text was not read. */
export async function withdraw(output: string): Promise<void> {
  const isPlanned = await readRecord(output).then((run) => !isBegun(run), () => false);
  if (isPlanned) await Deno.remove(`${output}/run.json`).catch(() => {});
}

/** What a record says of the program and not of the run, and what came later. */
const PASSED_OVER = [
  "cloze_version",
  "created",
  "extensions",
  "data.source",
  "data.replay.source",
  "data.reference.source",
];
/** Values that are compared as a whole. */
const WHOLE = ["training.extent", "tokenizer"];

/**
 * In what the run that a command asks for differs from the one that is there, such as `training.seed is 1, but that of the
 * run is 0`; `undefined` if in nothing.
 */
export function difference(asked: PlannedRun, kept: PlannedRun | RunConfig): string | undefined {
  const found = leaves(kept);
  const wanted = leaves(asked);
  // What the text, or the machine, decides.
  if (wanted.get("model.vocab_size") === "null") wanted.set("model.vocab_size", found.get("model.vocab_size"));
  if (wanted.get("dtype") === '"auto"') wanted.set("dtype", found.get("dtype"));
  for (const name of ["training.dropout", "training.learning_rate"]) {
    if (wanted.get(name) === "null") wanted.set(name, found.get(name));
  }
  // One of version 0.1.0 is as `bert` has it, and does not say so.
  if (!found.has("training.recipe") && wanted.get("training.recipe") === '"bert"') wanted.delete("training.recipe");
  for (const name of new Set([...wanted.keys(), ...found.keys()])) {
    // Records of version 0.1.0 lack these two.
    if (PASSED_OVER.includes(name) || (["dtype", "tokenizer"].includes(name) && !found.has(name))) continue;
    // Where no one asks, processes that share the run's updates take them as they are cut.
    if (name === "training.micro_batches" && !wanted.has(name)) continue;
    if (name === "training.micro_batch_tokens") continue; // the machine's memory said it
    const [value, other] = [wanted.get(name), found.get(name)];
    if (value !== other) return `${name} is ${shown(value)}, but that of the run is ${shown(other)}`;
  }
  return undefined;
}

/** The values of a record as JSON, by the path to them. */
function leaves(value: object, prefix = ""): Map<string, string | undefined> {
  return new Map(
    Object.entries(value).flatMap(([field, part]) => {
      const name = `${prefix}${field}`;
      const isInner = typeof part === "object" && part !== null && !Array.isArray(part) && !WHOLE.includes(name);
      return isInner ? [...leaves(part, `${name}.`)] : [[name, JSON.stringify(part)]];
    }),
  );
}

function shown(text = "not given"): string {
  return text.length <= 200 ? text : `${text.slice(0, 200)}…`;
}
