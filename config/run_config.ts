/** Everything that defines a training run: what `run.json` holds and what a resumed run takes from there. */

import type { ModelConfig, Preset } from "./model_config.ts";
import type { PretrainingObjective } from "./model_heads.ts";

/** When a run ends; its learning rate schedule ends with it. */
export type Extent =
  /** Updates. */
  | { steps: number }
  /** Passes over the training text. */
  | { epochs: number }
  /** Wall clock, evaluation and saving included. */
  | { budget_ms: number };

/** Hyperparameters of a run. Names are those of Hugging Face's TrainingArguments where it has one. */
export interface TrainingConfig {
  objective: PretrainingObjective;
  /** Of initialization, shuffling, masks and dropout. */
  seed: number;
  extent: Extent;
  /** Tokens of an update, special tokens included. */
  batch_tokens: number;
  /** Tokens of a sequence, special tokens included. */
  max_sequence_length: number;
  mlm_probability: number;
  /** At its peak. */
  learning_rate: number;
  /** Share of the run in which the learning rate rises; it falls to zero in the rest. */
  warmup_ratio: number;
  adam_beta1: number;
  adam_beta2: number;
  adam_epsilon: number;
  weight_decay: number;
  max_grad_norm: number;
}

/** The content of `run.json`. */
export interface RunConfig {
  cloze_version: string;
  created: string;
  model: ModelConfig;
  training: TrainingConfig;
  engine: "fused" | "candle";
  /** Runs of version 0.1.0 have none: f32. */
  dtype?: "f32" | "bf16";
  data: {
    /** `practice`, or absolute paths. */
    files: string[] | "practice";
    /** Hash of files, tokenizer and options that the shards were made from. */
    source: string;
  };
}

/** Peak learning rate and tokens of an update that suit a preset trained from scratch for minutes to hours. */
export const PRESET_TRAINING: Record<Preset, { learning_rate: number; batch_tokens: number }> = {
  tiny: { learning_rate: 2e-3, batch_tokens: 2048 },
  mini: { learning_rate: 1e-3, batch_tokens: 2048 },
  small: { learning_rate: 7e-4, batch_tokens: 4096 },
  medium: { learning_rate: 5e-4, batch_tokens: 8192 },
  base: { learning_rate: 3e-4, batch_tokens: 16384 },
};

/** What is not asked for on the command line. */
export const TRAINING_DEFAULTS = {
  mlm_probability: 0.15,
  warmup_ratio: 0.06,
  adam_beta1: 0.9,
  adam_beta2: 0.98,
  adam_epsilon: 1e-6,
  weight_decay: 0.01,
  max_grad_norm: 1,
} as const;

/** This program's version. */
export const VERSION = "0.1.0";
