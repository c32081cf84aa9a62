/** Text ↔ token ids, and learning the vocabulary for it. */

export { loadTokenizer } from "./files.ts";
export { newSpecialTokens, specialTokens } from "./special_tokens.ts";
export { tokenizerFiles } from "./tokenizer_files.ts";
export { type AddedToken, SPECIAL, type SpecialNames, type Specials } from "./added_tokens.ts";
export type { Compat } from "./wordpiece/characters.ts";
export {
  DEFAULT_NORMALIZER,
  type NormalizerOptions,
  PRE_TOKENIZERS,
  type PreTokenizerName,
} from "./wordpiece/pre_tokenizer.ts";
export { IdBuffer } from "./id_buffer.ts";
export { type Encoding, type SpecialIds, Tokenizer } from "./tokenizer.ts";
export { tokenizerFrom } from "./from_data.ts";
export type { TokenizerData, WordPieceData } from "./tokenizer_data.ts";
export { type WordPieceOptions, WordPieceTokenizer } from "./wordpiece/tokenizer.ts";
export { SPECIAL_TOKENS } from "./added_tokens.ts";
export { Alphabet } from "./wordpiece/alphabet.ts";
export { type TrainerOptions, VocabularyTrainer } from "./wordpiece/vocabulary_trainer.ts";
export { learnUnigram, type LearnUnigramOptions, unigramWords, XLM_ROBERTA_TOKENS } from "./unigram/learn.ts";
export { type BpeTrainerOptions, bpeWords, learnBpe, ROBERTA_TOKENS } from "./bpe/trainer.ts";
export { PipelineTokenizer } from "./pipeline/tokenizer.ts";
export { suitableVocabSize } from "./vocabulary_size.ts";
export { LONGEST_WORD, suitableWordLimit, type WordLimit } from "./wordpiece/word_lengths.ts";
export { bertWords, wordCounter, type WordSource } from "./word_source.ts";
export { WordCounter, type WordCounts } from "./word_counter.ts";
export { extenderOf } from "./extension.ts";
export type { Extender, Extension } from "./extender.ts";
export { scriptOf } from "./script_of.ts";
export { type EncodedSequence, encodeSequence } from "./sequence_encoding.ts";
export { bothCounts, NO_WORDS, type UnknownCounts, unknownCounts } from "./unknown_counts.ts";
export {
  joinedWords,
  rawWords,
  type WordPlace,
  type WordWindow,
  type WordWindows,
  wordWindows,
} from "./word_windows.ts";
export { type ScriptCoverage, type VocabularyReport, vocabularyReport } from "./vocabulary_report.ts";
