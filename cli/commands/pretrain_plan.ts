/** What a pretraining run is going to do: worked out from the flags, or read from a run that is resumed. */

import {
  CORPUS_DEFAULTS,
  MASKING_DEFAULTS,
  type MaskingConfig,
  SAMPLING_DEFAULTS,
  type SamplingConfig,
} from "../../config/batch_config.ts";
import { ClozeError, ioError, messageOf } from "../../config/cloze_error.ts";
import { type ModelConfig, parseModelConfig, presetConfig } from "../../config/model_config.ts";
import type { PretrainingObjective } from "../../config/model_heads.ts";
import {
  type Extent,
  PRESET_TRAINING,
  type RunConfig,
  TRAINING_DEFAULTS,
  type TrainingConfig,
  VERSION,
} from "../../config/run_config.ts";
import type { BatchOptions, CorpusSource } from "../../data/mod.ts";
import { newestCheckpoint } from "../../training/checkpoint.ts";
import { exists, makeFolder } from "../../training/files.ts";
import { objectiveOptions } from "../../training/objective_data.ts";
import { microBatches, type Start } from "../../training/train.ts";
import { corpusConfig, corpusFiles } from "../corpus.ts";
import type { Values } from "../flags/flag.ts";
import type { BATCH_FLAGS, PRETRAIN } from "../flags/tables.ts";
import { resolve } from "../paths.ts";

/** The flags of `pretrain`. */
export type PretrainValues = typeof PRETRAIN.flags;

/** Everything that a run needs to know before it looks at the text. */
export interface Plan {
  /** Absolute. */
  output: string;
  /** As the user wrote it. */
  shown: string;
  corpus: CorpusSource;
  /** Among the files, the one that standard input becomes. */
  stdin?: string;
  engine: "fused" | "candle";
  dtype: "f32" | "bf16" | "auto";
  training: TrainingConfig;
  tokenizerPath?: string;
  modelConfig: (vocab_size: number) => ModelConfig;
  runConfig: (model: ModelConfig, source: string, dtype: "f32" | "bf16") => RunConfig;
  /** Set when a run is resumed. */
  start?: Start;
  source?: string;
  weights?: { weights: string; training_state: string };
}

/** How long the practice run takes, and what suits its short sentences. */
const PRACTICE = { budget_ms: 140_000, batch_tokens: 1024, max_sequence_length: 32, learning_rate: 3e-3 };

/** A new run, from the flags. */
export async function newRun(values: Values<PretrainValues>, positionals: string[]): Promise<Plan> {
  const data = [...(values.data ?? []), ...positionals];
  if (values.data === undefined && positionals.length > 0) {
    throw new ClozeError("usage", `cloze pretrain does not know what ${JSON.stringify(positionals[0])} is`, {
      hint: "give text with --data PATH…",
    });
  }
  if (values.config !== undefined && values.preset !== undefined) {
    throw new ClozeError("usage", "--config and --preset both give the model's size: give one of them");
  }
  if (values.tokenizer !== undefined && values["vocab-size"] !== undefined) {
    throw new ClozeError("usage", "--vocab-size is for a vocabulary that is learned, but --tokenizer brings one");
  }
  const shown = values.output ?? `runs/${timestamp()}`;
  const output = resolve(shown);
  const { files, stdin } = await corpusFiles(data, values, `${output}/data`);
  const config = corpusConfig(values);
  const practice = files.length === 0;
  const modelConfig = await modelConfigOf(values);
  const training = trainingOf(values, practice);
  const engine = values.engine ?? "fused";
  return {
    output,
    shown,
    corpus: practice ? "practice" : { files, config },
    ...(stdin === undefined ? {} : { stdin }),
    engine,
    dtype: values.dtype ?? "auto",
    training,
    ...(values.tokenizer === undefined ? {} : { tokenizerPath: resolve(values.tokenizer) }),
    modelConfig,
    runConfig: (model, source, dtype) => ({
      cloze_version: VERSION,
      created: new Date().toISOString(),
      model,
      training,
      engine,
      dtype,
      data: { files: practice ? "practice" : files, corpus: config, source },
    }),
  };
}

function trainingOf(values: Values<PretrainValues>, practice: boolean): TrainingConfig {
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
function checkObjective(objective: PretrainingObjective, values: Values<PretrainValues>): void {
  const useless = {
    "mlm": ["short-seq-prob"],
    "mlm+nsp": ["full-sentences"],
    "clm": ["mlm-probability", "masking", "mask-count", "mask-shares", "short-seq-prob"],
  }[objective];
  const given = useless.find((flag) => (values as Record<string, unknown>)[flag] !== undefined);
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

function extentOf(values: Values<PretrainValues>): Extent | undefined {
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

async function modelConfigOf(values: Values<PretrainValues>): Promise<(vocab_size: number) => ModelConfig> {
  if (values.config === undefined) return (vocab_size) => presetConfig(values.preset ?? "tiny", vocab_size);
  const path = resolve(values.config);
  const text = await Deno.readTextFile(path).catch((error) => {
    throw ioError(error, "read the config", path);
  });
  return (vocab_size) => {
    // A config without vocab_size takes the tokenizer's.
    const hasSize = /"vocab_size"\s*:/.test(text);
    return parseModelConfig(hasSize ? text : text.replace("{", `{"vocab_size": ${vocab_size},`), path);
  };
}

/** A run that goes on, from its folder. */
export async function planResumed(values: Values<PretrainValues>, positionals: string[]): Promise<Plan> {
  const allowed = new Set(["resume", "threads", "device", "save-every", "keep-checkpoints", "evaluate-every", "chart"]);
  const other = Object.keys(values).find((name) => !allowed.has(name));
  if (other !== undefined || positionals.length > 0) {
    throw new ClozeError(
      "usage",
      `--resume takes everything from the run, but ${other ? `--${other}` : positionals[0]} is given too`,
      {
        hint: "begin a new run to change it",
      },
    );
  }
  const shown = values.resume!;
  const output = resolve(shown);
  const run = await readRun(output);
  const { state, weights, training_state } = await newestCheckpoint(output);
  const { step, position, elapsed_ms, tokens } = state;
  const { files, corpus: config, source } = run.data;
  return {
    output,
    shown,
    corpus: files === "practice" ? "practice" : { files, config },
    engine: run.engine,
    dtype: run.dtype ?? "f32",
    training: run.training,
    modelConfig: () => run.model,
    runConfig: () => run,
    start: { step, position, elapsed_ms, tokens },
    source,
    weights: { weights, training_state },
  };
}

/** What `run.json` says of the run in a folder. */
export async function readRun(output: string): Promise<RunConfig> {
  let run: RunConfig;
  try {
    run = JSON.parse(await Deno.readTextFile(`${output}/run.json`));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new ClozeError("input", `${output} is not the folder of a run: it has no run.json`);
    }
    throw new ClozeError("input", `${output}/run.json cannot be read: ${messageOf(error)}`);
  }
  return {
    ...run,
    training: { ...TRAINING_DEFAULTS, ...run.training, objective: run.training.objective ?? "mlm" },
    data: { ...run.data, corpus: { ...CORPUS_DEFAULTS, ...run.data.corpus } },
  };
}

/** Makes the run's folder this process's own, until it ends however it ends. */
export async function openRun(output: string, resumed: boolean): Promise<Disposable> {
  await makeFolder(output);
  if (!resumed) {
    for await (const { name } of Deno.readDir(output)) {
      if (name === ".lock" || name === "data") continue; // of a run that failed before it began
      const own = await exists(`${output}/run.json`);
      throw new ClozeError("input", `the output folder ${output} already has ${own ? "a run" : "files"} in it`, {
        hint: own
          ? "give another --output, or go on with that run: --resume DIR"
          : "give a new or empty folder as --output",
      });
    }
  }
  const path = `${output}/.lock`;
  const file = await Deno.open(path, { create: true, write: true }).catch((error) => {
    throw ioError(error, "write", path);
  });
  if (!file.tryLockSync(true)) {
    file.close();
    throw new ClozeError("input", `another process is using the output folder ${output}`, {
      hint: "wait for it to end, or give another --output",
    });
  }
  return { [Symbol.dispose]: () => file.close() };
}

/** `2026-01-31-235959` */
function timestamp(): string {
  const now = new Date();
  const two = (n: number) => String(n).padStart(2, "0");
  return `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}-` +
    two(now.getHours()) + two(now.getMinutes()) + two(now.getSeconds());
}
