/** Text files → documents → shards → shuffled, packed, masked batches. */

export {
  type BatchLimits,
  batchLimits,
  type BatchOptions,
  fixedEvalBatches,
  MlmBatches,
  type Position,
} from "./batches.ts";
export { type Document, expandPaths, readDocuments } from "./corpus.ts";
export { type LabeledColumns, type LabeledText, readLabeled } from "./labeled.ts";
export { PRACTICE_BLANKS, practiceCorpus } from "./practice/practice_corpus.ts";
export { type PreparedData, prepareShards, sourceHash, tokenizerHash } from "./prepare.ts";
export { Sequences } from "./sequences.ts";
export { Shard } from "./shards.ts";
