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
  BATCHING,
  CORPUS_DEFAULTS,
  type CorpusConfig,
  DOCUMENTS,
  FORMATS,
  MASK_COUNTS,
  MASKING,
  MASKING_DEFAULTS,
  type MaskingConfig,
  ON_INVALID,
  QUOTING,
  SAMPLING_DEFAULTS,
  type SamplingConfig,
  SEQUENCES,
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
export { HEAD_KINDS, type HeadKind } from "./model/head_kinds.ts";
export {
  type ClassifierHead,
  type ModelHeads,
  PROBLEM_TYPES,
  type ProblemType,
  type TokenClassifierHead,
} from "./model/model_heads.ts";
export type { ClassificationResult, Evaluation, UnknownCauses } from "./config/metric.ts";
export { type PackedSequences, packSequences } from "./config/packed_sequences.ts";
export { type Recipe, RECIPES } from "./config/recipe.ts";
export { type Extent, type OptimizerConfig, OPTIMIZERS, type TrainingConfig } from "./config/run_config.ts";
export {
  type BatchLimits,
  batchLimits,
  type BatchOptions,
  type CorpusCounts,
  CorpusReport,
  type CorpusSource,
  type Document,
  expandPaths,
  type FileSource,
  type FindOptions,
  fixedEvalBatches,
  type Ids,
  type LabeledColumns,
  type LabeledText,
  MlmBatches,
  type OnProgress,
  type Position,
  practiceCorpus,
  type PreparedData,
  type PrepareOptions,
  prepareShards,
  readDocuments,
  readLabeled,
  type ReportState,
  Shard,
  type ShardHeader,
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
  type SharedOptimizerOptions,
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
export {
  type FilledLine,
  FillMask,
  type FillMaskOptions,
  type Prediction,
  type PreparedLine,
} from "./inference/fill_mask.ts";
export type { GivenModel, InferenceOptions, OpenModel } from "./inference/open_engine.ts";
export type { PreparedText, SequenceModel, TextOrPair } from "./inference/sequence_head.ts";
export type { ModelFolder, UnreadFolder } from "./model/model_folder.ts";
export { type MeasuredText, Regressor, type RegressorOptions } from "./inference/regressor.ts";
export { type ScoredSentence, Scorer, type ScorerOptions } from "./inference/scorer.ts";
export {
  type AddedToken,
  Alphabet,
  type Compat,
  type Encoding,
  IdBuffer,
  loadTokenizer,
  type NormalizerOptions,
  PRE_TOKENIZERS,
  type PreTokenizerName,
  type SpecialIds,
  type SpecialNames,
  type Specials,
  Tokenizer,
  type TokenizerData,
  tokenizerFiles,
  type TrainerOptions,
  type UnknownCounts,
  VocabularyTrainer,
  type WordCounts,
  type WordPieceData,
  type WordPieceOptions,
  WordPieceTokenizer,
} from "./tokenizer/mod.ts";
export { PRETRAINING_OBJECTIVES } from "./tasks/registry.ts";
export type { Answering } from "./tasks/task.ts";
export { evaluate } from "./tasks/token_evaluation.ts";
