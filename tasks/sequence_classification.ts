/**
 * Sequence classification (Devlin et al., 2019, section 4.1): a text gets one of several classes. As a probe the encoder
 * stays as it is, and only pooler and classifier are trained.
 */

import { type Batch, type LabeledSequence, packLabeled } from "../config/batch.ts";
import type { EngineHeads } from "../config/engine.ts";
import type { ClassifierEvaluation } from "../config/metric.ts";
import { grouped, percent } from "../config/numbers.ts";
import type { FinetuneConfig } from "../config/run_config.ts";
import type { Position } from "../data/batches.ts";
import type { BatchLimits } from "../data/collator.ts";
import { Permutation } from "../data/rng.ts";
import { engineHeads, type ModelHeads } from "../model/model_heads.ts";
import { Confusion } from "./confusion.ts";
import type { Answering, BatchStream, Measure, Task } from "./task.ts";

/** A sequence with the number of its class. */
export type ClassifiedSequence = Required<LabeledSequence>;

/** Sequences that the engine takes at once in evaluation. */
const EVALUATION_SEQUENCES = 32;

/** `BertForSequenceClassification`. The loss is the mean over sequences. */
export const SEQUENCE_CLASSIFICATION: Task = {
  predicted: ({ sequence_labels }) => sequence_labels.length,
  sequenceWeight: () => 1,
  trained: ({ sequence_loss_sum, sequences_correct, sequences }) => ({
    loss: sequence_loss_sum / sequences,
    accuracy: sequences_correct / sequences,
  }),
};

/** What an engine is opened with to train a classifier. */
export function trainedHeads(heads: ModelHeads, { probe }: FinetuneConfig): EngineHeads {
  return { ...engineHeads(heads), freeze_encoder: probe };
}

/** The largest batch: what an engine's buffers are planned for. */
export function classificationLimits({ batch_size, max_sequence_length }: FinetuneConfig): BatchLimits {
  const max_sequences = Math.max(batch_size, EVALUATION_SEQUENCES);
  return { max_tokens: max_sequences * max_sequence_length, max_sequences, max_masked: 1, max_sequence_length };
}

/** Labeled sequences over shuffled epochs, so many in a batch; an epoch's last batch may have fewer. */
export class LabeledBatches implements BatchStream {
  readonly #sequences: readonly ClassifiedSequence[];
  readonly #size: number;
  readonly #order: Permutation;
  /** Batches of an epoch. */
  readonly perEpoch: number;
  #next = 0;

  constructor(sequences: readonly ClassifiedSequence[], { seed, batch_size }: FinetuneConfig) {
    this.#sequences = sequences;
    this.#size = batch_size;
    this.#order = new Permutation(seed, sequences.length);
    this.perEpoch = Math.ceil(sequences.length / batch_size);
  }

  /** Of the batch with that number, from the beginning on. */
  positionOf(batch: number): Position {
    return { window: Math.floor(batch / this.perEpoch), batch: batch % this.perEpoch };
  }

  /** A window is an epoch. */
  get position(): Position {
    return this.positionOf(this.#next);
  }

  set position({ window, batch }: Position) {
    this.#next = window * this.perEpoch + batch;
  }

  get epoch(): number {
    return this.#next / this.perEpoch;
  }

  next(): Batch {
    return packLabeled(this.#take());
  }

  skip(): number {
    return this.#take().reduce((sum, { ids }) => sum + ids.length, 0);
  }

  #take(): ClassifiedSequence[] {
    const { window, batch } = this.position;
    const first = batch * this.#size;
    const chosen: ClassifiedSequence[] = [];
    for (let i = first; i < Math.min(first + this.#size, this.#sequences.length); i++) {
      chosen.push(this.#sequences[this.#order.at(window, i)]);
    }
    this.#next++;
    return chosen;
  }

  [Symbol.dispose](): void {}
}

/** What is measured: the validation file at each pause, and the training file at the end. */
export function classifierMeasures(
  { train, valid }: { train: readonly ClassifiedSequence[]; valid: readonly ClassifiedSequence[] },
  classes: number,
): [valid: Measure<ClassifierEvaluation>, train: Measure<ClassifierEvaluation>] {
  const measure = (split: "train" | "valid", sequences: readonly ClassifiedSequence[], atEnd: boolean) => ({
    line: { kind: "classification" as const, split },
    atEnd,
    take: (engine: Answering, signal: AbortSignal) => evaluateClassifier(engine, sequences, classes, signal),
  });
  return [measure("valid", valid, false), measure("train", train, true)];
}

/** Loss, accuracy and macro-F1 on sequences. @throws the signal's reason: it ends it before the next batch. */
async function evaluateClassifier(
  engine: Answering,
  sequences: readonly ClassifiedSequence[],
  classes: number,
  signal: AbortSignal,
): Promise<ClassifierEvaluation> {
  const confusion = new Confusion(classes);
  let loss = 0;
  for (let from = 0; from < sequences.length; from += EVALUATION_SEQUENCES) {
    signal.throwIfAborted();
    const part = sequences.slice(from, from + EVALUATION_SEQUENCES);
    const logits = await engine.sequenceLogits(packLabeled(part), classes);
    part.forEach(({ label }, b) => {
      const row = logits.subarray(b * classes, (b + 1) * classes);
      const top = Math.max(...row);
      confusion.add(label, row.indexOf(top));
      loss += top - row[label] + Math.log(row.reduce((sum, x) => sum + Math.exp(x - top), 0));
    });
  }
  return { loss: loss / sequences.length, ...confusion.result };
}

/** An evaluation in a line, next to what always answering the commonest class gets. */
export function classificationLine(evaluation: ClassifierEvaluation): string {
  const { accuracy, accuracy_interval, macro_f1, macro_f1_interval, majority, loss, count } = evaluation;
  return `accuracy ${percent(accuracy)} (95% interval ${accuracy_interval.map(percent).join("–")}), ` +
    `macro-F1 ${percent(macro_f1)} (${macro_f1_interval.map(percent).join("–")}), loss ${loss.toFixed(3)} ` +
    `on ${grouped(count)}; the commonest class: ${percent(majority)}`;
}
