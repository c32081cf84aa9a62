/** What tasks of fine-tuning share: labeled sequences in shuffled epochs, measured on two files. */

import type { Batch } from "../config/batch.ts";
import type { EngineHeads } from "../config/engine.ts";
import type { ClassifierEvaluation } from "../config/metric.ts";
import type { FinetuneConfig } from "../config/run_config.ts";
import type { Position } from "../data/batches.ts";
import type { BatchLimits } from "../data/collator.ts";
import { Permutation } from "../data/rng.ts";
import { engineHeads, type ModelHeads } from "../model/model_heads.ts";
import type { Answering, BatchStream, Measure, Task } from "./task.ts";

/** A task of fine-tuning. `S` is a sequence with what is right for it, `E` what is measured. */
export interface FinetuningTask<S extends { ids: Int32Array }, E = ClassifierEvaluation> extends Task {
  /** The kind of its lines of metrics; `classification` unless given. */
  measure?: "regression";
  /** The largest batch: what an engine's buffers are planned for. */
  limits(config: FinetuneConfig): BatchLimits;
  pack(sequences: readonly S[]): Batch;
  /** How good a model's answers are. @throws the signal's reason: it ends it before the next batch. */
  evaluate(
    engine: Answering,
    sequences: readonly S[],
    labels: readonly string[],
    signal: AbortSignal,
  ): Promise<E>;
}

/** Sequences that the engine takes at once in evaluation. */
export const EVALUATION_SEQUENCES = 32;

/** Sequences of a batch, and their tokens. */
export function labeledLimits(
  { batch_size, max_sequence_length }: Pick<FinetuneConfig, "batch_size" | "max_sequence_length">,
): Omit<BatchLimits, "max_masked"> {
  const max_sequences = Math.max(batch_size, EVALUATION_SEQUENCES);
  return { max_tokens: max_sequences * max_sequence_length, max_sequences, max_sequence_length };
}

/** What an engine is opened with to train a classifier. */
export function trainedHeads(heads: ModelHeads, { probe }: FinetuneConfig): EngineHeads {
  return { ...engineHeads(heads), freeze_encoder: probe };
}

/** Labeled sequences over shuffled epochs, so many in a batch; an epoch's last batch may have fewer. */
export class LabeledBatches<S extends { ids: Int32Array }> implements BatchStream {
  readonly #sequences: readonly S[];
  readonly #pack: (sequences: readonly S[]) => Batch;
  readonly #size: number;
  readonly #order: Permutation;
  /** Batches of an epoch. */
  readonly perEpoch: number;
  #next = 0;

  constructor(
    { pack }: { pack(sequences: readonly S[]): Batch },
    sequences: readonly S[],
    { seed, batch_size }: FinetuneConfig,
  ) {
    this.#pack = pack;
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
    return this.#pack(this.#take());
  }

  skip(): number {
    return this.#take().reduce((sum, { ids }) => sum + ids.length, 0);
  }

  #take(): S[] {
    const { window, batch } = this.position;
    const first = batch * this.#size;
    const chosen: S[] = [];
    for (let i = first; i < Math.min(first + this.#size, this.#sequences.length); i++) {
      chosen.push(this.#sequences[this.#order.at(window, i)]);
    }
    this.#next++;
    return chosen;
  }

  [Symbol.dispose](): void {}
}

/** What sequences were answered when they were measured last, so that nobody has to ask the model once more. */
export class LastAnswers {
  #outputs: Float32Array[] = [];

  /** An engine whose answers are kept, instead of those before. */
  keeping(engine: Answering): Answering {
    this.#outputs = [];
    return asking(engine, async (batch, outputs) => {
      const answer = await engine.sequenceLogits(batch, outputs);
      this.#outputs.push(answer);
      return answer;
    });
  }

  /** Gives the answers to the same batches in the same order; asks the engine where none were kept. */
  orOf(engine: Answering): Answering {
    let next = 0;
    return asking(engine, async (batch, outputs) => {
      const kept = this.#outputs[next++];
      const isKept = kept?.length === (batch.cu_seqlens.length - 1) * outputs;
      return isKept ? kept : await engine.sequenceLogits(batch, outputs);
    });
  }
}

function asking(engine: Answering, sequenceLogits: Answering["sequenceLogits"]): Answering {
  return { sequenceLogits, evaluate: (batch) => engine.evaluate(batch), logits: (batch) => engine.logits(batch) };
}

/** What is measured: the validation file at each pause, whose answers are kept, and the training file at the end. */
export function finetuningMeasures<S extends { ids: Int32Array }, E>(
  task: FinetuningTask<S, E>,
  { train, valid }: { train: readonly S[]; valid: readonly S[] },
  labels: readonly string[],
  answers: LastAnswers,
): [valid: Measure<E>, train: Measure<E>] {
  const measure = (split: "train" | "valid", sequences: readonly S[], atEnd: boolean) => ({
    line: { kind: task.measure ?? "classification" as const, split },
    atEnd,
    take: (engine: Answering, signal: AbortSignal) =>
      task.evaluate(split === "valid" ? answers.keeping(engine) : engine, sequences, labels, signal),
  });
  return [measure("valid", valid, false), measure("train", train, true)];
}

/** −log softmax of a row of logits at the right entry, and the entry that it has for the best. */
export function rowAnswer(row: Float32Array, right: number): { loss: number; answer: number } {
  const top = row.reduce((a, b) => Math.max(a, b), -Infinity);
  const loss = top - row[right] + Math.log(row.reduce((sum, x) => sum + Math.exp(x - top), 0));
  return { loss, answer: row.indexOf(top) };
}
