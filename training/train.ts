/**
 * The training loop: batches in, updates out, with evaluation, checkpoints and a clean stop. Policy only: gradients are
 * the engine's. Called by the pretrain command.
 */

import { ClozeError } from "../config/cloze_error.ts";
import type { Batch } from "../config/batch.ts";
import type { TrainingConfig } from "../config/run_config.ts";
import type { Position } from "../data/mod.ts";
import type { Engine } from "../ffi/mod.ts";
import { evaluate, type Evaluation } from "./evaluation.ts";
import type { Metric, MetricsFile } from "./metrics.ts";
import { hyperparameters, Pauses, type Schedule } from "./schedule.ts";

/** Most tokens that the engine takes at once; larger updates are accumulated. */
const MICRO_BATCH_TOKENS = 16384;
/** An engine's answer that was there before it was waited for comes within this time. */
const AT_ONCE_MS = 0.5;
/** Time between lines of metrics. */
const METRICS_EVERY_MS = 2000;

/** How an update is cut into batches for the engine. */
export function microBatches(batch_tokens: number): { count: number; tokens: number } {
  const count = Math.ceil(batch_tokens / MICRO_BATCH_TOKENS);
  return { count, tokens: Math.ceil(batch_tokens / count) };
}

/** Where a run begins or goes on. */
export interface Start {
  step: number;
  position: Position;
  elapsed_ms: number;
  tokens: number;
  /** Whether the run's extent was reached. */
  done?: boolean;
}

/** An endless stream of batches that can be gone to at any position. The arrays of a batch live until the one after next. */
export interface BatchStream extends Disposable {
  /** Of the next batch. */
  position: Position;
  /** Epochs done, with the fraction of the one in progress. */
  readonly epoch: number;
  next(): Batch;
}

/** What the loop is given. */
export interface TrainOptions {
  engine: Engine;
  batches: BatchStream;
  heldOut: readonly Batch[];
  training: TrainingConfig;
  schedule: Schedule;
  start: Start;
  metrics: MetricsFile;
  /** In steps; by default ten times in a run, less often in a short run by time. It also saves every few minutes. */
  saveEvery?: number;
  evaluateEvery?: number;
  /** `done`: whether it is the end of the run. */
  save: (state: Required<Start>) => Promise<void>;
  /** How long that takes, about. */
  save_ms: number;
  /** The loop waits for it. */
  onMetric: (metric: Metric, progress: number) => void | Promise<void>;
  /** Stops the run after the step in progress, or the batch of an evaluation. */
  signal: AbortSignal;
}

/** How a run ended. */
export interface TrainResult {
  evaluation: Evaluation | undefined;
  state: Start;
  /** Whether `signal` stopped it. */
  interrupted: boolean;
}

/**
 * Trains until the run's extent is reached or the signal says stop; saves at its end in both cases. A run whose extent was
 * reached before trains no step, and is measured if it was not.
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  const { engine, batches, heldOut, training, schedule, metrics, signal } = options;
  const micro = microBatches(training.batch_tokens).count;
  const began = performance.now() - options.start.elapsed_ms;
  let { step, tokens } = options.start;
  let reserved_ms = 0;
  const elapsed = () => performance.now() - began;
  batches.position = options.start.position;

  let position = batches.position; // of the first batch that is not yet part of an update
  let epoch = batches.epoch;
  const reached = () => ({ step, epoch, elapsed_ms: elapsed(), reserved_ms });
  const progress = () => schedule.progress(reached());
  const state = (): Start => ({ step, position, elapsed_ms: Math.round(elapsed()), tokens });

  // Of this step: it may have been stopped after its last evaluation.
  let evaluation = metrics.earlier.findLast((metric) => metric.kind === "evaluation" && metric.step === step) as
    | Evaluation
    | undefined;
  const evaluateNow = async () => {
    if (heldOut.length === 0) return;
    try {
      evaluation = await evaluate(engine, heldOut, undefined, signal);
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    if (evaluation === undefined) return;
    const metric = { kind: "evaluation" as const, step, elapsed_ms: Math.round(elapsed()), ...evaluation };
    await metrics.write(metric);
    await options.onMetric(metric, progress());
  };

  // The batches of an update; several have to be kept until all of them are there.
  const take = () => micro === 1 ? batches.next() : copyOf(batches.next());
  let update = Array.from({ length: micro }, take);
  let hasPredicted = options.start.step > 0; // a run that goes on was checked when it began
  let interval = newInterval();
  const pauses = new Pauses(schedule.extent, progress(), options.start.elapsed_ms, options.save_ms);
  while (!options.start.done && progress() < 1 && !signal.aborted) {
    const rate = schedule.learningRate(reached());
    const weight = sequenceWeight(update);
    const upcoming: Batch[] = [];
    let predicted = 0;
    position = batches.position;
    epoch = batches.epoch;
    for (const [i, batch] of update.entries()) {
      const running = engine.forwardBackward(batch, step, i, weight);
      tokens += batch.input_ids.length;
      interval.tokens += batch.input_ids.length;
      const building = performance.now();
      upcoming.push(take()); // while the engine works
      const ready = performance.now();
      await running;
      // An answer that comes at once was there before: the engine stood still for at most the time of building. A GPU
      // answers at once until two batches lie before it.
      if (performance.now() - ready < AT_ONCE_MS) interval.wait_ms += ready - building;
      predicted += batch.labels.length;
    }
    update = upcoming;
    interval.predicted += predicted;
    hasPredicted ||= predicted > 0;
    if (predicted > 0) await engine.update(hyperparameters(training, rate), step);
    step++;
    evaluation = undefined;

    const now = performance.now();
    const done = progress();
    if (!hasPredicted && (done >= 1 || (training.static_masking && epoch >= 1))) throw nothingPredicted(step);
    const milestone = pauses.isMilestone(done, elapsed());
    const due = (every: number | undefined) => every === undefined ? milestone : step % every === 0;
    const evaluates = due(options.evaluateEvery);
    const saves = due(options.saveEvery) || pauses.isSaveDue(done, elapsed());
    const pause = done < 1 && !signal.aborted && (evaluates || saves);
    if (interval.predicted > 0 && (now - interval.began >= METRICS_EVERY_MS || done >= 1 || step === 1 || pause)) {
      const sums = await engine.report();
      const seconds = (performance.now() - interval.began) / 1000; // a GPU has done it all only now
      const metric: Metric = {
        kind: "train",
        step,
        epoch,
        loss: sums.loss_sum / sums.masked,
        accuracy: sums.correct / sums.masked,
        ...(sums.sequences === 0 ? {} : {
          nsp_loss: sums.sequence_loss_sum / sums.sequences,
          nsp_accuracy: sums.sequences_correct / sums.sequences,
        }),
        learning_rate: rate,
        grad_norm: sums.grad_norm,
        tokens,
        tokens_per_second: Math.round(interval.tokens / seconds),
        elapsed_ms: Math.round(elapsed()),
        data_wait_ms: Math.round(10 * interval.wait_ms) / 10,
      };
      await metrics.write(metric);
      await options.onMetric(metric, done);
      interval = newInterval();
    }
    if (pause) {
      const before = performance.now();
      if (evaluates) await evaluateNow();
      if (saves) await options.save({ ...state(), done: false });
      const pause_ms = performance.now() - before;
      reserved_ms = Math.max(reserved_ms, 1.2 * pause_ms);
      pauses.paused(done, elapsed(), pause_ms, { milestone, saved: saves });
      interval = newInterval();
    }
  }
  const done = options.start.done === true || progress() >= 1;
  await options.save({ ...state(), done });
  if (done && evaluation === undefined) await evaluateNow();
  const isMeasured = evaluation !== undefined || heldOut.length === 0;
  return { evaluation, state: state(), interrupted: !done || !isMeasured };
}

/** What is said of a run that had nothing to learn from. */
function nothingPredicted(steps: number): ClozeError {
  return new ClozeError("input", `nothing was learned: in ${steps} steps no token was chosen to be predicted`, {
    hint: "give more text, more --steps or a higher --mlm-probability",
  });
}

/**
 * What a pair's loss counts next to a token's, so that the loss of an update is the mean over its tokens plus the mean over
 * its pairs.
 */
export function sequenceWeight(update: readonly Batch[]): number {
  let tokens = 0, pairs = 0;
  for (const { labels, sequence_labels } of update) {
    tokens += labels.length;
    pairs += sequence_labels.length;
  }
  return pairs === 0 ? 1 : tokens / pairs;
}

/** A batch with arrays of its own. */
export function copyOf(batch: Batch): Batch {
  return Object.fromEntries(Object.entries(batch).map(([name, array]) => [name, array.slice()])) as unknown as Batch;
}

function newInterval() {
  return { began: performance.now(), tokens: 0, predicted: 0, wait_ms: 0 };
}
