/** Files of text → documents → shards → shuffled, packed, masked batches. */

export { batchLimits, type BatchOptions, fixedEvalBatches, MlmBatches, type Position } from "./batches.ts";
export { bytesRead, readBytes } from "./bytes.ts";
export type { BatchLimits } from "./collator.ts";
export { type Document, readDocuments } from "./corpus.ts";
export { type CorpusCounts, CorpusReport, type ReportState } from "./corpus_report.ts";
export { type CorpusSource, documentsOf } from "./corpus_source.ts";
export { type CountedWords, countWords } from "./count_words.ts";
export { packedWith } from "./known_structure.ts";
export { expandPaths, type FindOptions, idleExclusion, refuseStructure } from "./find_files.ts";
export { type Blank, heldOutBlanks } from "./held_out_blanks.ts";
export { isTagged, readTagged, type TaggedSentence } from "./tagged.ts";
export { type LabeledColumns, type LabeledText, readLabeled } from "./labeled.ts";
export type { ColumnsOf, TextColumns } from "./columns.ts";
export { type RecordText, recordTexts } from "./record_texts.ts";
export { PRACTICE_BLANKS, practiceCorpus } from "./practice/practice_corpus.ts";
export { type FileSource, type PreparedData, type PrepareOptions, prepareShards, tokenizerHash } from "./prepare.ts";
export type { OnProgress } from "./worker_pool.ts";
export { writeBatches } from "./batch_file.ts";
export { makesPairs, Sequences } from "./sequences.ts";
export { Shard } from "./shard.ts";
export type { Ids, ShardHeader } from "./shard_format.ts";
export { ShardWriter } from "./shard_writer.ts";
export { sourceKind } from "./sources.ts";
export { unknownOf, UnknownSample } from "./unknown_words.ts";
export { maskingStatistics, textStatistics } from "./text_statistics.ts";
export { LONG, type VocabularyFit, vocabularyFit, type WordFit } from "./vocabulary_fit.ts";
