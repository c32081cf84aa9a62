/** What a pretraining run is going to do: worked out from the flags, or read from a run that is resumed. */

import {
  type CorpusConfig,
  MASKING_DEFAULTS,
  type MaskingConfig,
  SAMPLING_DEFAULTS,
  type SamplingConfig,
} from "../../../config/batch_config.ts";
import { ClozeError } from "../../../config/cloze_error.ts";
import { type ModelConfig, presetConfig } from "../../../config/model_config.ts";
import type { PretrainingObjective } from "../../../config/objective.ts";
import { LONGEST_FILE, readWholeText } from "../../../config/regular_file.ts";
import {
  type Extent,
  type LearnedTokenizer,
  type PlannedRun,
  PRESET_TRAINING,
  type RunConfig,
  type TokenizerChoice,
  TRAINING_DEFAULTS,
  type TrainingConfig,
  VERSION,
} from "../../../config/run_config.ts";
import type { BatchOptions, CorpusSource } from "../../../data/mod.ts";
import { parseModelConfig } from "../../../model/model_config.ts";
import { objectiveOptions } from "../../../training/objective_data.ts";
import { microBatches, type Start } from "../../../training/train.ts";
import { checkApart, corpusConfig, corpusFiles, validFiles } from "../../corpus.ts";
import type { BATCH_FLAGS } from "../../flags/batch_flags.ts";
import type { Values } from "../../flags/flag.ts";
import { resolve } from "../../paths.ts";
import { learnedFlags } from "../train_tokenizer/command.ts";
import type { PretrainOptions } from "./flags.ts";

/** Everything that a run needs to know before it looks at the text. */
export interface Plan {
  /** Absolute. */
  output: string;
  /** As the user wrote it. */
  shown: string;
  corpus: CorpusSource;
  /** Text to measure on, if it is not a share of the corpus. */
  valid?: { files: readonly string[]; config: CorpusConfig };
  /** Among the files, the one that standard input becomes. */
  stdin?: string;
  engine: "fused" | "candle";
  dtype: "f32" | "bf16" | "auto";
  training: TrainingConfig;
  tokenizerPath?: string;
  /** Of a tokenizer that is learned. */
  vocabulary: Omit<LearnedTokenizer, "vocab_size"> & { vocab_size?: number };
  modelConfig: (vocab_size: number) => ModelConfig;
  /** What `run.json` holds before the text is read; it has been written. */
  run: PlannedRun | RunConfig;
  /** Set when a run goes on from a checkpoint. */
  start?: Start;
  /** Of metrics.jsonl at that checkpoint. */
  lines?: number;
  source?: string;
  weights?: { weights: string; training_state: string };
  /** Set when a run is made longer: of the whole run. */
  extent?: Extent;
}

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
  const given = LEARNED_FLAGS.find((name) => values[name] !== undefined);
  if (values.tokenizer !== undefined && given !== undefined) {
    throw new ClozeError("usage", `--${given} is for a vocabulary that is learned, but --tokenizer brings one`);
  }
  const learned = learnedFlags(values);
  const shown = values.output ?? `runs/${timestamp()}`;
  const output = resolve(shown);
  const valid = values.valid === undefined ? undefined : await validFiles(values.valid, values);
  const { files, stdin } = await corpusFiles(data, values, `${output}/data`, valid);
  if (valid !== undefined) await checkApart(valid, files);
  const config = corpusConfig(values);
  const practice = files.length === 0;
  const run: PlannedRun = {
    cloze_version: VERSION,
    created: new Date().toISOString(),
    model: await modelOf(values),
    training: trainingOf(values, practice),
    engine: values.engine ?? "fused",
    dtype: values.dtype ?? "auto",
    tokenizer: values.tokenizer === undefined
      ? { vocab_size: values["vocab-size"] ?? null, ...learned }
      : { path: resolve(values.tokenizer) },
    data: {
      files: practice ? "practice" : files,
      ...(valid === undefined ? {} : { valid_files: valid }),
      corpus: config,
      source: null,
    },
  };
  return { ...planOf(run, output, shown), run, ...(stdin === undefined ? {} : { stdin }) };
}

/** The plan that a run's record makes, from its beginning. */
export function planOf(run: PlannedRun | RunConfig, output: string, shown: string): Plan {
  const { files, valid_files, corpus: config } = run.data;
  const tokenizer: TokenizerChoice = run.tokenizer ?? { vocab_size: null, lowercase: false };
  const { vocab_size = null, ...learned } = "path" in tokenizer ? { lowercase: false } : tokenizer;
  return {
    output,
    shown,
    corpus: files === "practice" ? "practice" : { files, config },
    ...(valid_files === undefined ? {} : { valid: { files: valid_files, config } }),
    engine: run.engine,
    dtype: run.dtype ?? "f32",
    training: run.training,
    ...("path" in tokenizer ? { tokenizerPath: tokenizer.path } : {}),
    vocabulary: { ...learned, ...(vocab_size === null ? {} : { vocab_size }) },
    modelConfig: (vocab_size) => ({ ...run.model, vocab_size: run.model.vocab_size ?? vocab_size }),
    run,
  };
}

function trainingOf(values: PretrainOptions, practice: boolean): TrainingConfig {
  const objective = values.objective ?? "mlm";
  checkObjective(objective, values);
  const preset = practice && values.preset === undefined ? PRACTICE : PRESET_TRAINING[values.preset ?? "tiny"];
  return {
    objective,
    seed: values.seed ?? 0,
    extent: extentOf(values) ?? (practice ? { budget_ms: PRACTICE.budget_ms } : { epochs: 1 }),
    batch_tokens: values["batch-tokens"] ?? preset.batch_tokens,
    learning_rate: values["learning-rate"] ?? preset.learning_rate,
    ...TRAINING_DEFAULTS,
    ...maskingOf(values),
    ...samplingOf(values),
    ...objectiveOptions(objective),
    ...(practice && values["max-sequence-length"] === undefined
      ? { max_sequence_length: PRACTICE.max_sequence_length }
      : {}),
  };
}

/** Refuses flags that an objective has no use for. */
function checkObjective(objective: PretrainingObjective, values: PretrainOptions): void {
  const useless = {
    "mlm": ["short-seq-prob"],
    "mlm+nsp": ["full-sentences"],
    "clm": ["mlm-probability", "masking", "mask-count", "mask-shares", "short-seq-prob"],
  }[objective];
  const given = useless.find((flag) => (values as Record<string, unknown>)[flag] !== undefined);
  if (objective !== "clm" && values["mlm-probability"] === 0) {
    throw new ClozeError("usage", "--mlm-probability is 0, so that no token is predicted and nothing is learned");
  }
  if (given === undefined) return;
  const why = given === "short-seq-prob"
    ? "is for the pairs of --objective mlm+nsp"
    : objective === "clm"
    ? "is for masked tokens, but --objective clm masks none"
    : "is for runs without pairs, but --objective mlm+nsp makes pairs";
  throw new ClozeError("usage", `--${given} ${why}`);
}

/** The flags that say how text becomes masked batches. */
type BatchValues = Values<typeof BATCH_FLAGS>;

/** Which tokens are masked. */
export function maskingOf(values: BatchValues): MaskingConfig {
  const { masking, "mask-count": count, "mask-shares": shares } = values;
  if (masking === "span" && count === "bernoulli") {
    throw new ClozeError(
      "usage",
      "--masking span takes exactly the share of every sequence, not --mask-count bernoulli",
    );
  }
  return {
    mlm_probability: values["mlm-probability"] ?? MASKING_DEFAULTS.mlm_probability,
    masking: masking ?? MASKING_DEFAULTS.masking,
    mask_count: masking === "span" ? "exact" : count ?? MASKING_DEFAULTS.mask_count,
    mask_share: shares?.[0] ?? MASKING_DEFAULTS.mask_share,
    random_share: shares?.[1] ?? MASKING_DEFAULTS.random_share,
  };
}

/** How documents become sequences and batches; next-sentence prediction needs pairs. */
export function samplingOf(values: BatchValues): SamplingConfig {
  return {
    max_sequence_length: values["max-sequence-length"] ?? SAMPLING_DEFAULTS.max_sequence_length,
    sequences: values["full-sentences"] === true ? "full" : SAMPLING_DEFAULTS.sequences,
    short_seq_prob: values["short-seq-prob"] ?? SAMPLING_DEFAULTS.short_seq_prob,
    batching: values.batching ?? SAMPLING_DEFAULTS.batching,
    static_masking: values["static-masking"] ?? SAMPLING_DEFAULTS.static_masking,
  };
}

/** The batches of a run: an update is cut so that the engine can hold each part. */
export function batchOptions(training: TrainingConfig): BatchOptions {
  const batch_tokens = Math.max(microBatches(training.batch_tokens).tokens, training.max_sequence_length);
  return { ...training, batch_tokens };
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

/** The model that the flags ask for; one without `vocab_size` takes the tokenizer's. */
async function modelOf(values: PretrainOptions): Promise<PlannedRun["model"]> {
  if (values.config === undefined) return { ...presetConfig(values.preset ?? "tiny", 1), vocab_size: null };
  const path = resolve(values.config);
  const text = await readWholeText(path, LONGEST_FILE.config, "read the config");
  const hasSize = /"vocab_size"\s*:/.test(text);
  const model = parseModelConfig(hasSize ? text : text.replace("{", `{"vocab_size": ${2 ** 28},`), path);
  return { ...model, vocab_size: hasSize ? model.vocab_size : null };
}

/** `2026-01-31-235959` */
function timestamp(): string {
  const now = new Date();
  const two = (n: number) => String(n).padStart(2, "0");
  return `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}-` +
    two(now.getHours()) + two(now.getMinutes()) + two(now.getSeconds());
}
