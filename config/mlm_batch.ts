/** The packed batch under its former name. */

export type { Batch as MlmBatch } from "./batch.ts";
