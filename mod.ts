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
export { type ModelConfig, type ModernBertConfig, type Preset, presetConfig, PRESETS } from "./config/model_config.ts";
export {
  type EngineHeads,
  type LossSums,
  MASKED_LM,
  type RowResults,
  type SequenceHead,
  type TokenHead,
} from "./config/engine.ts";
export type { HeadKind } from "./model/head_kinds.ts";
export type { ClassifierHead, ModelHeads, ProblemType, TokenClassifierHead } from "./model/model_heads.ts";
export type { ClassificationResult, Evaluation } from "./config/metric.ts";
export { type PackedSequences, packSequences } from "./config/packed_sequences.ts";
export { type Recipe, RECIPES } from "./config/recipe.ts";
export type { Extent, OptimizerConfig, TrainingConfig } from "./config/run_config.ts";
export {
  type BatchLimits,
  batchLimits,
  type BatchOptions,
  CorpusReport,
  type CorpusSource,
  type Document,
  expandPaths,
  type FindOptions,
  fixedEvalBatches,
  type LabeledColumns,
  type LabeledText,
  MlmBatches,
  type Position,
  practiceCorpus,
  type PreparedData,
  type PrepareOptions,
  prepareShards,
  readDocuments,
  readLabeled,
  Shard,
} from "./data/mod.ts";
export {
  type AdamWOptions,
  type Device,
  Engine,
  type EngineDescription,
  type EngineOptions,
  type ModelPart,
  type MuonOptions,
  type OptimizerOptions,
  type TrainingReport,
} from "./ffi/mod.ts";
export {
  type Entity,
  type PreparedWords,
  type TaggedText,
  type TaggedWord,
  type TextOrWords,
  TokenClassifier,
  type TokenClassifierOptions,
} from "./inference/token_classifier.ts";
export { type ClassifiedText, Classifier, type ClassifierOptions, type LabelScore } from "./inference/classifier.ts";
export { type EmbeddedText, Embedder, type EmbedderOptions, type Pooling, POOLINGS } from "./inference/embedder.ts";
export { type FilledLine, FillMask, type FillMaskOptions, type Prediction } from "./inference/fill_mask.ts";
export type { GivenModel, InferenceOptions, OpenModel } from "./inference/open_engine.ts";
export type { PreparedText, SequenceModel, TextOrPair } from "./inference/sequence_head.ts";
export type { ModelFolder } from "./model/model_folder.ts";
export { type MeasuredText, Regressor, type RegressorOptions } from "./inference/regressor.ts";
export { type ScoredSentence, Scorer, type ScorerOptions } from "./inference/scorer.ts";
export {
  type AddedToken,
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
