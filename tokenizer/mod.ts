/** Text ↔ token ids, and learning the vocabulary for it. */

export { loadTokenizer, tokenizerFiles } from "./files.ts";
export { DEFAULT_NORMALIZER, type NormalizerOptions } from "./pre_tokenizer.ts";
export { IdBuffer } from "./id_buffer.ts";
export {
  type Encoding,
  SPECIAL_TOKENS,
  type SpecialIds,
  Tokenizer,
  type TokenizerData,
  type TokenizerOptions,
} from "./tokenizer.ts";
export { type TrainerOptions, VocabularyTrainer } from "./vocabulary_trainer.ts";
export { WordCounter, type WordCounts } from "./word_counter.ts";
