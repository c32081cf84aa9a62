/**
 * cloze as a library: train masked language models, fill blanks, classify and score from a Deno program. Re-exports only.
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

export {
  CORPUS_DEFAULTS,
  type CorpusConfig,
  MASKING_DEFAULTS,
  type MaskingConfig,
  SAMPLING_DEFAULTS,
  type SamplingConfig,
} from "./config/batch_config.ts";
export { ClozeError, type ErrorCode } from "./config/cloze_error.ts";
export { type Batch, type LabeledSequence, type MaskedSequence, packLabeled, packMasked } from "./config/batch.ts";
export { type ModelConfig, type Preset, presetConfig, PRESETS } from "./config/model_config.ts";
export { type EngineHeads, type LossSums, MASKED_LM, type RowResults, type SequenceHead } from "./config/engine.ts";
export { type ClassifierHead, type ModelHeads } from "./model/model_heads.ts";
export type { ClassificationResult, Evaluation } from "./config/metric.ts";
export { packSequences } from "./config/packed_sequences.ts";
export { type Recipe, RECIPES } from "./config/recipe.ts";
export type { Extent, TrainingConfig } from "./config/run_config.ts";
export {
  type BatchLimits,
  batchLimits,
  type BatchOptions,
  type Document,
  expandPaths,
  fixedEvalBatches,
  type LabeledText,
  MlmBatches,
  type Position,
  practiceCorpus,
  type PreparedData,
  prepareShards,
  readDocuments,
  readLabeled,
  Shard,
} from "./data/mod.ts";
export { Engine, type EngineDescription, type EngineOptions, type OptimizerOptions } from "./ffi/mod.ts";
export { type ClassifiedText, Classifier, type ClassifierOptions, type LabelScore } from "./inference/classifier.ts";
export { type EmbeddedText, Embedder, type EmbedderOptions, type Pooling, POOLINGS } from "./inference/embedder.ts";
export { type FilledLine, FillMask, type FillMaskOptions, type Prediction } from "./inference/fill_mask.ts";
export { type MeasuredText, Regressor, type RegressorOptions } from "./inference/regressor.ts";
export { type ScoredSentence, Scorer, type ScorerOptions } from "./inference/scorer.ts";
export {
  type Encoding,
  loadTokenizer,
  type SpecialIds,
  Tokenizer,
  tokenizerFiles,
  type TrainerOptions,
  VocabularyTrainer,
  type WordPieceOptions,
  WordPieceTokenizer,
} from "./tokenizer/mod.ts";
export { PRETRAINING_OBJECTIVES } from "./tasks/registry.ts";
export { evaluate } from "./tasks/token_evaluation.ts";
