/** What a pretraining run is going to do: worked out from the flags, or read from a run that is resumed. */

import { ClozeError, ioError, messageOf } from "../../config/cloze_error.ts";
import { type ModelConfig, parseModelConfig, presetConfig } from "../../config/model_config.ts";
import {
  type Extent,
  PRESET_TRAINING,
  type RunConfig,
  TRAINING_DEFAULTS,
  type TrainingConfig,
  VERSION,
} from "../../config/run_config.ts";
import { type Document, expandPaths, practiceCorpus, readDocuments, sourceHash } from "../../data/mod.ts";
import { newestCheckpoint } from "../../training/checkpoint.ts";
import { exists, makeFolder } from "../../training/files.ts";
import type { Start } from "../../training/train.ts";
import type { Values } from "../flags/flag.ts";
import type { PRETRAIN } from "../flags/tables.ts";
import { callerFolder, resolve } from "../paths.ts";

/** The flags of `pretrain`. */
export type PretrainValues = typeof PRETRAIN.flags;

/** Everything that a run needs to know before it looks at the text. */
export interface Plan {
  /** Absolute. */
  output: string;
  /** As the user wrote it. */
  shown: string;
  files: string[] | "practice";
  documentsHash: string;
  engine: "fused" | "candle";
  training: TrainingConfig;
  tokenizerPath?: string;
  modelConfig: (vocab_size: number) => ModelConfig;
  runConfig: (model: ModelConfig, source: string) => RunConfig;
  /** Set when a run is resumed. */
  start?: Start;
  source?: string;
  weights?: { weights: string; training_state: string };
}

/** How long the practice run takes, and what suits its short sentences. */
const PRACTICE = { budget_ms: 140_000, batch_tokens: 1024, max_sequence_length: 32, learning_rate: 3e-3 };

/** The documents of files or of the practice corpus. */
export function documentsOf(files: string[] | "practice"): AsyncIterable<Document> | Iterable<Document> {
  return files === "practice" ? practiceCorpus() : readDocuments(files);
}

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
  const files = data.length === 0 ? "practice" as const : await expandPaths(data, callerFolder());
  const shown = values.output ?? `runs/${timestamp()}`;
  const modelConfig = await modelConfigOf(values);
  const training = trainingOf(values, files === "practice");
  const engine = values.engine ?? "fused";
  return {
    output: resolve(shown),
    shown,
    files,
    documentsHash: files === "practice" ? "practice corpus 1" : await sourceHash(files, ""),
    engine,
    training,
    ...(values.tokenizer === undefined ? {} : { tokenizerPath: resolve(values.tokenizer) }),
    modelConfig,
    runConfig: (model, source) => ({
      cloze_version: VERSION,
      created: new Date().toISOString(),
      model,
      training,
      engine,
      data: { files, source },
    }),
  };
}

function trainingOf(values: Values<PretrainValues>, practice: boolean): TrainingConfig {
  const preset = practice && values.preset === undefined ? PRACTICE : PRESET_TRAINING[values.preset ?? "tiny"];
  return {
    objective: values.objective ?? "mlm",
    seed: values.seed ?? 0,
    extent: extentOf(values) ?? (practice ? { budget_ms: PRACTICE.budget_ms } : { epochs: 1 }),
    batch_tokens: values["batch-tokens"] ?? preset.batch_tokens,
    max_sequence_length: values["max-sequence-length"] ?? (practice ? PRACTICE.max_sequence_length : 128),
    learning_rate: values["learning-rate"] ?? preset.learning_rate,
    ...TRAINING_DEFAULTS,
  };
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
  const allowed = new Set(["resume", "threads", "save-every", "keep-checkpoints", "evaluate-every"]);
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
  let run: RunConfig;
  try {
    run = JSON.parse(await Deno.readTextFile(`${output}/run.json`));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new ClozeError("input", `${output} is not the folder of a run: it has no run.json`);
    }
    throw new ClozeError("input", `${output}/run.json cannot be read: ${messageOf(error)}`);
  }
  const { state, weights, training_state } = await newestCheckpoint(output);
  const { step, position, elapsed_ms, tokens } = state;
  const { files, source } = run.data;
  return {
    output,
    shown,
    files,
    documentsHash: files === "practice" ? "practice corpus 1" : await sourceHash(files, ""),
    engine: run.engine,
    training: { ...run.training, objective: run.training.objective ?? "mlm" },
    modelConfig: () => run.model,
    runConfig: () => run,
    start: { step, position, elapsed_ms, tokens },
    source,
    weights: { weights, training_state },
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
