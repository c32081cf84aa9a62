/**
 * The fine-tuning loop: labeled sequences in, a classifier out (Devlin et al., 2019, section 4.1). Policy only: gradients
 * are the engine's. Called by the finetune command.
 */

import { type LabeledSequence as Sequence, packLabeled } from "../config/batch.ts";
import type { ClassifierEvaluation, Metric } from "../config/metric.ts";
import type { FinetuneConfig } from "../config/run_config.ts";
import { Permutation } from "../data/rng.ts";
import type { Engine } from "../ffi/mod.ts";
import { Confusion } from "./confusion.ts";
import type { MetricsFile } from "./metrics.ts";
import { hyperparameters, learningRate, Pauses } from "./schedule.ts";

export type { ClassifierEvaluation } from "../config/metric.ts";

/** A sequence with the number of its class. */
export type LabeledSequence = Required<Sequence>;

/** What the loop is given. */
export interface FinetuneOptions {
  engine: Engine;
  train: readonly LabeledSequence[];
  valid: readonly LabeledSequence[];
  classes: number;
  config: FinetuneConfig;
  metrics: MetricsFile;
  /** The loop waits for it. */
  onMetric: (metric: Metric, progress: number) => void | Promise<void>;
  /** Where it begins or goes on. */
  start: FinetuneState;
  save: (state: FinetuneState & { done: boolean }) => Promise<void>;
  /** How long that takes, about. */
  save_ms: number;
  /** Stops after the step in progress, or the batch of an evaluation. */
  signal: AbortSignal;
}

/** How far a fine-tuning is: updates done, time and tokens that they took. */
export interface FinetuneState {
  step: number;
  elapsed_ms: number;
  tokens: number;
}

/** Time between lines of metrics. */
const METRICS_EVERY_MS = 2000;

/** How a run ended. */
export interface FinetuneResult {
  /** Updates done, and those of the whole run. */
  step: number;
  steps: number;
  elapsed_ms: number;
  /** Both parts, measured at the end; nothing if the run was stopped before it. */
  result: { train: ClassifierEvaluation; valid: ClassifierEvaluation } | undefined;
}

/**
 * Trains for the configured epochs, with an evaluation after each and one of the training data at the end. Saves soon after
 * the beginning, every few minutes, at the end, and when it is stopped.
 */
export async function finetune(options: FinetuneOptions): Promise<FinetuneResult> {
  const { engine, train, classes, config, metrics, signal } = options;
  const order = new Permutation(config.seed, train.length);
  const perEpoch = Math.ceil(train.length / config.batch_size);
  const steps = Math.max(1, Math.round(config.epochs * perEpoch));
  const began = performance.now() - options.start.elapsed_ms;
  const elapsed = () => Math.round(performance.now() - began);
  let interval = newInterval(), { step, tokens } = options.start;
  const evaluateNow = async (split: "train" | "valid", step: number) => {
    const before = metrics.earlier.find((metric) =>
      metric.kind === "classification" && metric.split === split && metric.step === step
    );
    if (before?.kind === "classification") return before; // it was stopped after that
    const result = await evaluateClassifier(engine, options[split], classes, signal).catch((error) => {
      if (!signal.aborted) throw error;
    });
    if (result === undefined) return undefined;
    const metric: Metric = { kind: "classification", split, step, elapsed_ms: elapsed(), ...result };
    await metrics.write(metric);
    await options.onMetric(metric, step / steps);
    interval = newInterval();
    return result;
  };
  if (step > 0 && step < steps && step % perEpoch === 0) await evaluateNow("valid", step); // it was stopped in that
  const pauses = new Pauses({ steps }, step / steps, options.start.elapsed_ms, options.save_ms);
  while (step < steps && !signal.aborted) {
    const epoch = Math.floor(step / perEpoch), first = (step % perEpoch) * config.batch_size;
    const chosen: LabeledSequence[] = [];
    for (let i = first; i < Math.min(first + config.batch_size, train.length); i++) {
      chosen.push(train[order.at(epoch, i)]);
    }
    const batch = packLabeled(chosen);
    const rate = learningRate(step / steps, config);
    await engine.forwardBackward(batch, step, 0);
    await engine.update(hyperparameters(config, rate), step);
    tokens += batch.input_ids.length;
    interval.tokens += batch.input_ids.length;
    const now = performance.now(), done = ++step;
    if (now - interval.began >= METRICS_EVERY_MS || done === 1 || done === steps) {
      const { sequence_loss_sum, sequences, sequences_correct, grad_norm } = await engine.report();
      const metric: Metric = {
        kind: "train",
        step: done,
        epoch: done / perEpoch,
        loss: sequence_loss_sum / sequences,
        accuracy: sequences_correct / sequences,
        learning_rate: rate,
        grad_norm,
        tokens,
        tokens_per_second: Math.round(interval.tokens / (performance.now() - interval.began) * 1000),
        elapsed_ms: elapsed(),
        data_wait_ms: 0,
      };
      await metrics.write(metric);
      await options.onMetric(metric, done / steps);
      interval = newInterval();
    }
    if (done % perEpoch === 0 && done < steps) await evaluateNow("valid", done);
    if (done < steps && !signal.aborted && pauses.isSaveDue(done / steps, elapsed())) {
      const before = performance.now();
      await options.save({ step, elapsed_ms: elapsed(), tokens, done: false });
      const pause_ms = performance.now() - before;
      pauses.paused(done / steps, elapsed(), pause_ms, { milestone: false, saved: true });
      interval = newInterval();
    }
  }
  await options.save({ step, elapsed_ms: elapsed(), tokens, done: step === steps });
  const valid = step < steps ? undefined : await evaluateNow("valid", steps);
  const onTraining = valid === undefined ? undefined : await evaluateNow("train", steps);
  const result = onTraining === undefined ? undefined : { train: onTraining, valid: valid! };
  return { step, steps, elapsed_ms: elapsed(), result };
}

function newInterval() {
  return { began: performance.now(), tokens: 0 };
}

/** Sequences that the engine takes at once in evaluation. */
export const EVALUATION_SEQUENCES = 32;

/** Loss, accuracy and macro-F1 on sequences. @throws the reason of the signal, which ends it before the next batch. */
export async function evaluateClassifier(
  engine: Engine,
  sequences: readonly LabeledSequence[],
  classes: number,
  signal?: AbortSignal,
): Promise<ClassifierEvaluation> {
  const confusion = new Confusion(classes);
  let loss = 0;
  for (let from = 0; from < sequences.length; from += EVALUATION_SEQUENCES) {
    signal?.throwIfAborted();
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
