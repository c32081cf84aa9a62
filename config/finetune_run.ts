/** Everything that defines a fine-tuning: what `finetune.json` holds. */

import type { UnknownCauses } from "./metric.ts";
import type { FinetuneConfig } from "./run_config.ts";

/** The content of `finetune.json`. */
export interface FinetuneRun {
  cloze_version: string;
  /** ISO 8601. */
  created: string;
  /** As typed, and where. */
  command: string;
  folder: string;
  /** That define the run, by name, with absolute paths; missing in older records. */
  flags?: Record<string, unknown>;
  versions: { cloze: string; deno: string; platform: string };
  engine: { dtype: string; instruction_set: string; threads: number; parameter_count: number };
  /** Folder of the pretrained model. */
  model: string;
  from_scratch: boolean;
  labels: string[];
  /** What gets a class; missing in older records, of texts. */
  unit?: "text" | "word";
  /** What the outputs mean, where it is not one class; transformers' names. */
  problem_type?: "multi_label_classification" | "regression";
  train: LabeledFile;
  valid: LabeledFile;
  /** Why words became `[UNK]`; missing if none did. */
  unknown?: UnknownCauses;
  finetuning: FinetuneConfig;
}

/** A file of labeled text. */
export interface LabeledFile {
  path: string;
  sha256: string;
  texts: number;
  /** Texts whose end was cut off. */
  cut_off: number;
  /** Words of the texts, and those that became `[UNK]`; missing in older records. */
  words?: number;
  unknown_words?: number;
}

/** What is recorded before anything is read; the rest of a {@linkcode FinetuneRun} follows. */
export type PlannedFinetuning =
  & Pick<FinetuneRun, "cloze_version" | "created" | "command" | "folder">
  & Required<Pick<FinetuneRun, "flags">>;
