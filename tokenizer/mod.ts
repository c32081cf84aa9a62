/** Text ↔ token ids, and learning the vocabulary for it. */

export { loadTokenizer } from "./files.ts";
export { newSpecialTokens, specialTokens } from "./special_tokens.ts";
export { tokenizerFiles } from "./tokenizer_files.ts";
export { type AddedToken, isBertSpecial, SPECIAL, type Specials } from "./added_tokens.ts";
export type { Compat } from "./characters.ts";
export { DEFAULT_NORMALIZER, type NormalizerOptions, PRE_TOKENIZERS, type PreTokenizerName } from "./pre_tokenizer.ts";
export { IdBuffer } from "./id_buffer.ts";
export {
  type Encoding,
  SPECIAL_TOKENS,
  type SpecialIds,
  Tokenizer,
  type TokenizerData,
  type TokenizerOptions,
} from "./tokenizer.ts";
export type { Alphabet } from "./alphabet.ts";
export { type TrainerOptions, VocabularyTrainer } from "./vocabulary_trainer.ts";
export { suitableVocabSize } from "./vocabulary_size.ts";
export { LONGEST_WORD, suitableWordLimit, type WordLimit } from "./word_lengths.ts";
export { WordCounter, type WordCounts } from "./word_counter.ts";
export { type ExtensionOptions, learnExtension } from "./vocabulary_extension.ts";
export { scriptOf } from "./script_of.ts";
export { bothCounts, type UnknownCounts, unknownCounts } from "./unknown_counts.ts";
export { type ScriptCoverage, type VocabularyReport, vocabularyReport } from "./vocabulary_report.ts";
