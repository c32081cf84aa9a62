/**
 * What a task is, as the training loop and the commands see it: a task is what a model is trained for. It says what batches
 * it is fed, what heads it needs, how its figures are summed and what they are called. Each task is a file here and a line in
 * registry.ts.
 */

import type { Batch } from "../config/batch.ts";
import type { LossSums, RowResults } from "../config/engine.ts";
import type { Metric } from "../config/metric.ts";
import type { Position } from "../data/batches.ts";

/** An endless stream of batches that can be gone to at any position. The arrays of a batch live until the one after next. */
export interface BatchStream extends Disposable {
  /** Of the next batch. */
  position: Position;
  /** Epochs done, with the fraction of the one in progress. */
  readonly epoch: number;
  /** @param done share of the run that is done, 0 to 1; its beginning unless given. */
  next(done?: number): Batch;
  /** Passes over a batch that another process makes. Returns the tokens that it has. */
  skip(done?: number): number;
}

/** How much an update has. */
export interface Amount {
  tokens: number;
  /** What its loss is a mean over. */
  predicted: number;
  /** Sequences with a label. */
  sequences: number;
}

/** What the loop asks of a task. */
export interface Task {
  /** What an update's loss is a mean over: how much of it a batch has. */
  predicted(batch: Batch): number;
  /** What a sequence's loss counts, where a token's counts 1, in an update of so much. */
  sequenceWeight(update: Amount): number;
  /** The figures of a line of metrics, from the sums of some updates. */
  trained(sums: LossSums): TrainedFigures;
}

/** Loss and accuracy of training. Losses are means, in nats. */
export type TrainedFigures = Pick<
  Extract<Metric, { kind: "train" }>,
  "loss" | "accuracy" | "nsp_loss" | "nsp_accuracy"
>;

/** What of an engine a measurement needs. */
export interface Answering {
  /** Loss and rank of each label. */
  evaluate(batch: Batch): Promise<RowResults>;
  /** The logits `[B, K]` of the sequences, for a head of `outputs` outputs. */
  sequenceLogits(batch: Batch, outputs: number): Promise<Float32Array>;
  /** The logits of the masked rows, `[M, V]`, or `[M, K]` of a head that tells classes of tokens. */
  logits(batch: Batch): Promise<Float32Array>;
}

/** Something that is measured while a model is trained. `F` are its figures. */
export interface Measure<F> {
  /** Fields that tell its lines of metrics from others. */
  readonly line: { kind: "evaluation" } | { kind: "classification" | "regression"; split: "train" | "valid" };
  /** Whether it is measured at the end only, and not at each pause. */
  readonly atEnd: boolean;
  /**
   * Measures the model as it is; nothing comes of it if there is nothing to measure.
   *
   * @throws the signal's reason.
   */
  take(engine: Answering, signal: AbortSignal): Promise<F | undefined>;
}
