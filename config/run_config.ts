/** Everything that defines a training run: what `run.json` holds and what a resumed run takes from there. */

import {
  type CorpusConfig,
  MASKING_DEFAULTS,
  type MaskingConfig,
  SAMPLING_DEFAULTS,
  type SamplingConfig,
} from "./batch_config.ts";
import type { ModelConfig, Preset, UnsizedModelConfig } from "./model_config.ts";
import type { Recipe } from "./recipe.ts";

/** When a run ends; its learning rate schedule ends with it. */
export type Extent =
  /** Updates. */
  | { steps: number }
  /** Passes over the training text. */
  | { epochs: number }
  /** Wall clock, evaluation and saving included. */
  | { budget_ms: number };

/** That a run was made longer, and from where on: what its learning rate follows from there. */
export interface Extension {
  /** Updates done when it was. */
  step: number;
  /** Of the whole run. */
  extent: Extent;
  /** Share of that extent that was done. */
  progress: number;
  /**
   * Share of the recipe that was done: masks and sequence lengths go on from there. Missing in runs that were made longer
   * before it was written down; theirs begin again at `progress`.
   */
  recipe_progress?: number;
  /** Learning rate at which the run stood. */
  learning_rate: number;
}

/** Optimizers. */
export const OPTIMIZERS = ["adamw", "muon"] as const;

/** What decides an update. Names are those of Hugging Face's TrainingArguments where it has one. */
export interface OptimizerConfig {
  /** At its peak. */
  learning_rate: number;
  /** Share of the run in which the learning rate rises; it falls to zero in the rest. */
  warmup_ratio: number;
  /** Decay of the first moment. */
  adam_beta1: number;
  /** Decay of the second moment. */
  adam_beta2: number;
  /** Added to the root of the second moment. */
  adam_epsilon: number;
  /** Decoupled from the gradient; not applied to biases and norms. */
  weight_decay: number;
  /** Largest norm of all gradients together; they are scaled down to it. */
  max_grad_norm: number;
  /** Runs of version 0.1.0 have none: adamw. */
  optimizer?: typeof OPTIMIZERS[number];
  /** Of muon: decay of the momentum of matrices. */
  muon_momentum?: number;
}

/** Hyperparameters of a pretraining run. */
export interface TrainingConfig extends OptimizerConfig, SamplingConfig, MaskingConfig {
  /** The name of a task of pretraining: see `tasks/registry.ts`. */
  objective: string;
  /** Of initialization, shuffling, masks and dropout. */
  seed: number;
  /** How long the run is. */
  extent: Extent;
  /** Tokens of an update, special tokens included. */
  batch_tokens: number;
  /** What was chosen for it where nothing was asked for. Runs of version 0.1.0 have none: they are as `bert` has it. */
  recipe?: Recipe;
  /** That the decoder's bias begins with log frequencies of the text, and not with zeros. */
  decoder_bias?: "unigram";
  /** Standard deviation of query, key, value and the first of the feed-forward part at the start, instead of `initializer_range`. */
  inner_initializer_range?: number;
  /** That half of the heads begin by looking at the tokens beside each. */
  neighbour_attention?: boolean;
  /** Chance of an activation to be dropped; that of `config.json` if it is absent. `null` until the text was read. */
  dropout?: number | null;
  /**
   * Micro-batches that an update is cut into, a power of two: their gradients are summed as a balanced tree, so that as many
   * processes get the same bits. Missing where one process cuts it as its engine needs, and adds one behind the other.
   */
  micro_batches?: number;
  /**
   * Most tokens of a micro-batch, where a GPU had memory for more than are usual when the run began: it goes on with as many, so
   * that its sums keep their order. Missing otherwise.
   */
  micro_batch_tokens?: number;
}

/** Hyperparameters of fine-tuning. */
export interface FinetuneConfig extends OptimizerConfig {
  /** Of the classifier's initialization, shuffling and dropout. */
  seed: number;
  epochs: number;
  /** Sequences of an update. */
  batch_size: number;
  /** Tokens of a sequence, special tokens included; longer texts lose their end. */
  max_sequence_length: number;
  /** Whether the encoder stays as it is. */
  probe: boolean;
}

/** How a run's vocabulary is learned. */
export interface LearnedTokenizer {
  /** `null` if the text decides. */
  vocab_size: number | null;
  lowercase: boolean;
  /** What a word is; `bert` if it is absent. */
  pre_tokenizer?: "bert" | "whitespace" | "characters";
  /** Special tokens besides BERT's. */
  special_tokens?: readonly string[];
}

/** Where a run's vocabulary comes from. */
export type TokenizerChoice = { path: string } | LearnedTokenizer;

/** The model that a run goes on from. */
export interface RunOrigin {
  /** Absolute path of its folder. */
  path: string;
  /** The family or class that it is taken for, if its config.json names one that is not known. */
  as?: string;
  /** SHA-256 of its weights, in hexadecimal. */
  sha256: string;
  /** Size of its vocabulary; the rows of its embeddings from there on belong to new tokens, if there are any. */
  vocabulary: number;
  /** Most tokens that are added before the run; missing if none are. */
  extend?: number;
}

/** Other text of a run than the one that it is about. */
export interface OtherText {
  /** Absolute paths. */
  files: string[];
  /** What its shards were made from; missing until they are. */
  source?: string;
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
  /** Runs of version 0.1.0 have none. */
  tokenizer?: TokenizerChoice;
  /** The model that the run goes on from; missing if it begins with random weights. */
  from?: RunOrigin;
  data: {
    /** `practice`, or absolute paths. */
    files: string[] | "practice";
    /** Files of the held-out text, absolute; missing where it is a share of `files`. */
    valid_files?: string[];
    /** Mixed into every update; `share` is that of all tokens, above 0 and below 1. */
    replay?: OtherText & { share: number };
    /** Measured beside the held-out text. */
    reference?: OtherText;
    /** How they were read. */
    corpus: CorpusConfig;
    /** Hash of files, tokenizer and options that the shards were made from. */
    source: string;
  };
  /** In order; the last one says how long the run is. */
  extensions?: Extension[];
}

/** Hyperparameters of a run whose text was not read yet. */
export interface PlannedTraining extends Omit<TrainingConfig, "learning_rate"> {
  /** At its peak; `null` until the model that the run goes on from was measured on the text. */
  learning_rate: number | null;
}

/** What `run.json` holds until the text was read: what that decides is `null`, or `auto`. */
export interface PlannedRun extends Omit<RunConfig, "model" | "training" | "dtype" | "data"> {
  model: UnsizedModelConfig;
  training: PlannedTraining;
  dtype: "f32" | "bf16" | "auto";
  data: Omit<RunConfig["data"], "source"> & { source: null };
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
  ...MASKING_DEFAULTS,
  ...SAMPLING_DEFAULTS,
  warmup_ratio: 0.06,
  adam_beta1: 0.9,
  adam_beta2: 0.98,
  adam_epsilon: 1e-6,
  weight_decay: 0.01,
  max_grad_norm: 1,
  optimizer: "adamw",
} as const;

/** What muon adds (Jordan et al., 2024). */
export const MUON_DEFAULTS = { optimizer: "muon", muon_momentum: 0.95 } as const;

/** As Devlin et al. (2019), appendix A.3, but for rates that suit models of this size. */
export const FINETUNE_DEFAULTS = {
  epochs: 3,
  batch_size: 32,
  max_sequence_length: 128,
  warmup_ratio: 0.1,
  adam_beta1: 0.9,
  adam_beta2: 0.999,
  adam_epsilon: 1e-6,
  weight_decay: 0.01,
  max_grad_norm: 1,
} as const;

/**
 * Peak learning rate of fine-tuning: BERT-base takes 5e-5 (Devlin et al., 2019, appendix A.3); `tiny` stays undertrained
 * below 1e-3 (docs/experiments.md, 3), and so does a head on a frozen encoder, but `mini` falls apart at that rate (7).
 */
export function finetuneRate(hidden_size: number, probe: boolean): number {
  if (probe || hidden_size <= 128) return 1e-3;
  if (hidden_size <= 256) return 3e-4;
  return hidden_size < 768 ? 2e-4 : 5e-5;
}

/** This program's version. */
export const VERSION = "0.1.0";
