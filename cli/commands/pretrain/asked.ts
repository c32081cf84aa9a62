/** The run that the options of `cloze pretrain` ask for. */

import type { SamplingConfig } from "../../../config/batch_config.ts";
import { ClozeError } from "../../../config/cloze_error.ts";
import { FROM_DEFAULTS, presetTraining } from "../../../config/from_defaults.ts";
import { type Recipe, RECIPE_RATES, RECIPE_START } from "../../../config/recipe.ts";
import {
  type Extent,
  MUON_DEFAULTS,
  type PlannedRun,
  type PlannedTraining,
  PRESET_TRAINING,
  TRAINING_DEFAULTS,
  type TrainingConfig,
  VERSION,
} from "../../../config/run_config.ts";
import { PRESETS } from "../../../config/model_config.ts";
import { checkKind, FAMILIES, longestText } from "../../../model/families.ts";
import type { PretrainingTask } from "../../../tasks/pretraining_task.ts";
import { DEFAULT_OBJECTIVE, pretrainingTask } from "../../../tasks/registry.ts";
import { maskingOf, samplingOf } from "../../batch_options.ts";
import { checkApart, corpusConfig, corpusFiles, otherFiles } from "../../corpus.ts";
import { refuseFlags } from "../../flags/refuse_flags.ts";
import { learnedFlags } from "../../learn_tokenizer.ts";
import { resolve } from "../../paths.ts";
import type { PretrainOptions } from "./flags.ts";
import { checkFrom, type Origin, originOf, otherTexts } from "./from.ts";
import { modelOf } from "./model.ts";
import { type Plan, planOf } from "./plan.ts";

/** How long the practice run takes, and what suits its short sentences. */
const PRACTICE = { budget_ms: 140_000, batch_tokens: 1024, max_sequence_length: 32, learning_rate: 3e-3 };

/** Flags that say how a vocabulary is learned. */
const LEARNED_FLAGS = ["vocab-size", "lowercase", "pre-tokenizer", "special-token"] as const;

/** A run as the flags ask for it. */
export async function newRun(
  values: PretrainOptions,
  positionals: readonly string[],
): Promise<Plan & { run: PlannedRun }> {
  const data = [...(values.data ?? []), ...positionals];
  if (values.data === undefined && positionals.length > 0) {
    throw new ClozeError("usage", `cloze pretrain does not know what ${JSON.stringify(positionals[0])} is`, {
      hint: "give text with --data PATH…",
    });
  }
  if (values.config !== undefined && values.preset !== undefined) {
    throw new ClozeError("usage", "--config and --preset both give the model's size: give one of them");
  }
  if (values.config !== undefined && values.architecture !== undefined) {
    throw new ClozeError("usage", "--config and --architecture both say what the model is: give one of them");
  }
  const given = LEARNED_FLAGS.find((name) => values[name] !== undefined);
  if (values.tokenizer !== undefined && given !== undefined) {
    throw new ClozeError("usage", `--${given} is for a vocabulary that is learned, but --tokenizer brings one`);
  }
  const learned = learnedFlags(values);
  const shown = values.output ?? `runs/${timestamp()}`;
  const output = resolve(shown);
  checkFrom(values, data, output);
  const from = await originOf(values);
  const valid = values.valid === undefined ? undefined : await otherFiles("valid", values.valid, values);
  const others = await otherTexts(values);
  const besides = [...valid ?? [], ...others.replay?.files ?? [], ...others.reference?.files ?? []];
  const { files, stdin } = await corpusFiles(data, values, `${output}/data`, besides);
  if (valid !== undefined) await checkApart(valid, files);
  if (others.reference !== undefined) {
    await checkApart(others.reference.files, files, ["reference", "data"]);
    if (others.replay !== undefined) {
      await checkApart(others.reference.files, others.replay.files, ["reference", "replay"]);
    }
  }
  const config = corpusConfig(values);
  const practice = files.length === 0;
  const run: PlannedRun = {
    cloze_version: VERSION,
    created: new Date().toISOString(),
    model: from === undefined
      ? await modelOf(values)
      : { ...from.model, vocab_size: values.extend === undefined ? from.model.vocab_size : null },
    training: trainingOf(values, practice, from),
    engine: values.engine ?? "fused",
    dtype: values.dtype ?? "auto",
    ...(from === undefined
      ? {
        tokenizer: values.tokenizer === undefined
          ? { vocab_size: values["vocab-size"] ?? null, ...learned }
          : { path: resolve(values.tokenizer) },
      }
      : { from: from.origin }),
    data: {
      files: practice ? "practice" : files,
      ...(valid === undefined ? {} : { valid_files: valid }),
      ...others,
      corpus: config,
      source: null,
    },
  };
  checkKind(run.model, pretrainingTask(run.training.objective).heads.task);
  return { ...planOf(run, output, shown), run, ...(stdin === undefined ? {} : { stdin }) };
}

function trainingOf(values: PretrainOptions, practice: boolean, from: Origin | undefined): PlannedTraining {
  const objective = from?.objective ?? values.objective ?? DEFAULT_OBJECTIVE, task = pretrainingTask(objective);
  checkTask(task, values);
  const preset = from !== undefined
    ? { ...presetTraining(from.model), learning_rate: null }
    : practice && values.preset === undefined
    ? PRACTICE
    : PRESET_TRAINING[values.preset ?? "tiny"];
  const recipe = values.recipe ?? "fast";
  const epochs = from === undefined ? 1 : FROM_DEFAULTS.epochs;
  const sampling = samplingOf(values, from && longestText(from.model));
  if (practice && values["max-sequence-length"] === undefined) {
    sampling.max_sequence_length = PRACTICE.max_sequence_length;
  }
  return {
    objective,
    seed: values.seed ?? 0,
    extent: extentOf(values) ?? (practice ? { budget_ms: PRACTICE.budget_ms } : { epochs }),
    batch_tokens: values["batch-tokens"] ?? preset.batch_tokens,
    ...(values["micro-batches"] === undefined ? {} : { micro_batches: microBatchesOf(values["micro-batches"]) }),
    learning_rate: values["learning-rate"] ?? (from === undefined ? ownRate(values, recipe) : undefined) ??
      preset.learning_rate,
    ...TRAINING_DEFAULTS,
    ...(from === undefined ? {} : { warmup_ratio: FROM_DEFAULTS.warmup_ratio }),
    ...(values.optimizer === "muon" ? MUON_DEFAULTS : {}),
    recipe,
    ...(from === undefined ? startOf(values, recipe, sampling) : {}),
    ...dropoutOf(values, recipe),
    ...maskingOf(values, recipe),
    ...sampling,
    ...task.options,
  };
}

/** The rate that a recipe has for a preset of its own. */
function ownRate({ preset = "tiny", config, architecture = FAMILIES[0].model_type }: PretrainOptions, recipe: Recipe) {
  return config === undefined && architecture === FAMILIES[0].model_type ? RECIPE_RATES[recipe][preset] : undefined;
}

/**
 * How a new model begins; a `--config` says itself how large its weights are. Every epoch has the same masks only if its
 * sequences are the same, too.
 */
function startOf(
  { config, preset = "tiny" }: PretrainOptions,
  recipe: Recipe,
  { max_sequence_length, static_masking }: SamplingConfig,
): Partial<TrainingConfig> {
  const { warmup, inner_by_width = false, neighbour_attention = false, ...frequencies } = RECIPE_START[recipe];
  const range = Number((1 / Math.sqrt(PRESETS[preset].hidden_size)).toPrecision(3));
  const start = {
    ...frequencies,
    ...(inner_by_width && config === undefined ? { inner_initializer_range: range } : {}),
    ...(neighbour_attention && config === undefined ? { neighbour_attention } : {}),
  };
  if (warmup === undefined || max_sequence_length <= warmup.length || static_masking) return start;
  return { ...start, warmup_sequence_length: warmup.length, warmup_sequence_ratio: warmup.ratio };
}

/** What is dropped, if a flag or the recipe says it: the text decides it later, or the model's own config.json does. */
function dropoutOf({ dropout, config, from }: PretrainOptions, recipe: Recipe): Pick<TrainingConfig, "dropout"> {
  if (dropout !== undefined) return { dropout };
  return recipe === "fast" && config === undefined && from === undefined ? { dropout: null } : {};
}

function microBatchesOf(count: number): number {
  if (Number.isInteger(Math.log2(count))) return count;
  throw new ClozeError("usage", `--micro-batches is ${count}, but has to be a power of two`, {
    hint: `give ${2 ** Math.floor(Math.log2(count))} or ${2 ** Math.ceil(Math.log2(count))}`,
  });
}

/** Refuses flags that a task has no use for. */
function checkTask({ masks, useless }: PretrainingTask, values: PretrainOptions): void {
  if (masks && values["mlm-probability"] === 0) {
    throw new ClozeError("usage", "--mlm-probability is 0, so that no token is predicted and nothing is learned");
  }
  for (const [flag, why] of Object.entries(useless)) {
    refuseFlags(values, [flag as keyof PretrainOptions & string], why);
  }
}

export function extentOf(values: PretrainOptions): Extent | undefined {
  const { steps, epochs, budget } = values;
  const given = [
    ...(steps === undefined ? [] : [{ steps }]),
    ...(epochs === undefined ? [] : [{ epochs }]),
    ...(budget === undefined ? [] : [{ budget_ms: budget }]),
  ];
  if (given.length > 1) {
    throw new ClozeError("usage", "--steps, --epochs and --budget all say how long: give one of them");
  }
  return given[0];
}

/** `2026-01-31-235959` */
function timestamp(): string {
  const now = new Date();
  const two = (n: number) => String(n).padStart(2, "0");
  return `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}-` +
    two(now.getHours()) + two(now.getMinutes()) + two(now.getSeconds());
}
