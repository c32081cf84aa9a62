/**
 * cloze as a library: train masked language models and fill blanks from a Deno program. Re-exports only.
 *
 * @example Fill a blank
 * ```ts ignore
 * import { FillMask } from "./mod.ts";
 *
 * using model = await FillMask.open("runs/mine");
 * const [line] = await model.fill(["In autumn the ____ fall from the trees."]);
 * console.log(line.sequence);
 * ```
 * @module
 */

export { ClozeError, type ErrorCode } from "./config/cloze_error.ts";
export type { MlmBatch } from "./config/mlm_batch.ts";
export { type ModelConfig, type Preset, presetConfig, PRESETS } from "./config/model_config.ts";
export type { Extent, TrainingConfig } from "./config/run_config.ts";
export {
  type BatchLimits,
  batchLimits,
  type BatchOptions,
  type Document,
  expandPaths,
  fixedEvalBatches,
  MlmBatches,
  type Position,
  practiceCorpus,
  type PreparedData,
  prepareShards,
  readDocuments,
  Shard,
} from "./data/mod.ts";
export { type AdamWOptions, Engine, type EngineDescription, type EngineOptions } from "./ffi/mod.ts";
export { type FilledLine, FillMask, type FillMaskOptions, type Prediction } from "./inference/fill_mask.ts";
export {
  type Encoding,
  loadTokenizer,
  type SpecialIds,
  Tokenizer,
  tokenizerFiles,
  type TokenizerOptions,
  type TrainerOptions,
  VocabularyTrainer,
} from "./tokenizer/mod.ts";
export { evaluate, type Evaluation } from "./training/evaluation.ts";
