/** What a pretraining run is going to do: what its record says, and where it goes on. */

import type { CorpusConfig } from "../../../config/batch_config.ts";
import type { ModelConfig } from "../../../config/model_config.ts";
import type {
  Extent,
  LearnedTokenizer,
  PlannedRun,
  PlannedTraining,
  RunConfig,
  TokenizerChoice,
  TrainingConfig,
} from "../../../config/run_config.ts";
import type { CorpusSource } from "../../../data/mod.ts";
import type { Start } from "../../../training/train.ts";

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
  training: PlannedTraining;
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
  /** About how many passes over the text it makes, where that decided something. */
  passes?: number;
  /** What share of the rate from scratch it takes, and what share of a guess's loss the model spares it, where that decided the rate. */
  rate?: { share: number; known: number };
  /** Set when a run is made longer: of the whole run. */
  extent?: Extent;
}

/** One of which everything is known that an update takes. */
export type DecidedPlan = Plan & { training: TrainingConfig; run: { training: TrainingConfig } };

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
