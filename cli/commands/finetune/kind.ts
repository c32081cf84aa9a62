/** What kinds of fine-tuning differ in, up to the sequences that a model is trained on. Called by the finetune command. */

import type { FinetuneRun, LabeledFile } from "../../../config/finetune_run.ts";
import type { ClassifierEvaluation, Mistakes } from "../../../config/metric.ts";
import type { FinetuneConfig } from "../../../config/run_config.ts";
import { fileHash } from "../../../config/sha256.ts";
import type { UnknownSample } from "../../../data/mod.ts";
import type { ModelFolder } from "../../../model/model_folder.ts";
import type { ModelHeads } from "../../../model/model_heads.ts";
import type { FinetuningTask } from "../../../tasks/finetuning_task.ts";
import type { Answering } from "../../../tasks/task.ts";
import type { UnknownCounts } from "../../../tokenizer/mod.ts";
import type { FinetuneOptions } from "./flags.ts";

/** Both files of a fine-tuning, or what was made of them. */
export interface Both<T> {
  train: T;
  valid: T;
}

/** A file as sequences. */
export interface CutFile<S> {
  sequences: S[];
  /** Records of the file. */
  texts: number;
  /** Those whose end was cut off. */
  cut_off: number;
  /** Words of all of them, and those that became `[UNK]`. */
  counts: UnknownCounts;
}

/** A kind of fine-tuning. `R` is a record of a file, `S` a sequence with what is right for it. */
export interface Kind<
  R,
  S extends { ids: Int32Array },
  C extends CutFile<S> = CutFile<S>,
  E = ClassifierEvaluation,
> {
  readonly task: FinetuningTask<S, E>;
  /** What the outputs mean, where it is not one class. */
  readonly problem_type?: FinetuneRun["problem_type"];
  /** An evaluation in a line. */
  line(evaluation: E): string;
  /** What gets a class. */
  readonly unit: NonNullable<FinetuneRun["unit"]>;
  /** Parts of the model that a pretrained one may lack. */
  readonly parts: readonly ("pooler" | "classifier")[];
  /** The records of a file; says what was wrong with it. */
  read(file: string, values: FinetuneOptions, folder: ModelFolder): Promise<R[]>;
  /** The kind that records turn out to be of, if it is told by them. @throws {ClozeError} `input` */
  // deno-lint-ignore no-explicit-any
  refine?(data: Both<R[]>, folder: ModelFolder, values: FinetuneOptions): Kind<R, any, any, any>;
  /** The classes: those of a classifier that is trained further, or those of the training file. @throws {ClozeError} `input` */
  labels(data: Both<R[]>, folder: ModelFolder, values: FinetuneOptions): string[];
  heads(labels: string[], folder: ModelFolder): ModelHeads;
  /** Records as sequences of the length that the run has; `sample` takes the words that became `[UNK]`. */
  cut(
    records: readonly R[],
    labels: readonly string[],
    folder: ModelFolder,
    config: Pick<FinetuneConfig, "max_sequence_length">,
    sample: UnknownSample,
  ): C;
  /** Says what there is, and warns of what may be wrong with it. */
  say(data: Both<R[]>, cut: Both<C>, labels: readonly string[], names: Both<string>, config: FinetuneConfig): void;
  /** What to tell of single wrong answers at the end, if anything. */
  mistakes?(
    engine: Answering,
    records: readonly R[],
    sequences: readonly S[],
    labels: readonly string[],
    signal: AbortSignal,
  ): Promise<Mistakes["lines"]>;
  /** Whether the model is of this kind already, so that its classes stay. */
  isTrainedFurther(heads: ModelHeads): boolean;
}

/** What is recorded of a file of labeled text. */
export async function labeledFile(path: string, cut: CutFile<unknown>): Promise<LabeledFile> {
  const { texts, cut_off, counts: { words, unknown } } = cut;
  return { path, sha256: await fileHash(path), texts, cut_off, words, unknown_words: unknown };
}
