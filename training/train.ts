/**
 * The training loop, the same for every task: batches in, updates out, with evaluation, checkpoints and a clean stop. Policy
 * only: gradients are the engine's. Called by the commands pretrain and finetune.
 */

import type { Batch } from "../config/batch.ts";
import { ClozeError } from "../config/cloze_error.ts";
import type { Metric } from "../config/metric.ts";
import type { Position } from "../data/mod.ts";
import type { TrainingConfig } from "../config/run_config.ts";
import type { Engine, TrainingReport } from "../ffi/mod.ts";
import type { Answering, BatchStream, Measure, Task } from "../tasks/task.ts";
import type { MetricsFile } from "../run/metrics_file.ts";
import type { Clock, Crew } from "./crew.ts";
import { MILESTONES, Pauses, type Schedule } from "./schedule.ts";
import { SharedEvaluation } from "./shared_evaluation.ts";
import { accumulate, Update } from "./update.ts";

/** Most tokens that the engine takes at once, unless a GPU has memory for more; larger updates are accumulated. */
export const MICRO_BATCH_TOKENS = 16384;
/** Time between lines of metrics. */
const METRICS_EVERY_MS = 2000;

/** A line of metrics about training. */
type TrainMetric = Extract<Metric, { kind: "train" }>;

/** What says how an update is cut. */
type Cut = Pick<TrainingConfig, "batch_tokens" | "micro_batches" | "micro_batch_tokens">;

/** How an update is cut into batches for the engine. */
export function microBatches(
  { batch_tokens, micro_batches, micro_batch_tokens = MICRO_BATCH_TOKENS }: Cut,
): { count: number; tokens: number } {
  const count = micro_batches ?? Math.ceil(batch_tokens / micro_batch_tokens);
  return { count, tokens: Math.ceil(batch_tokens / count) };
}

/** Micro-batches of an update that several processes share, unless told. */
const SHARED = 8;

/**
 * Into how many micro-batches an update is cut that so many processes share: a power of two, so that as many processes may
 * share it later; fewer where an update has few sequences, more where the engine could not hold one.
 */
export function sharedMicroBatches(batch_tokens: number, max_sequence_length: number, processes: number): number {
  const powerOfTwo = (least: number) => 2 ** Math.ceil(Math.log2(least));
  let count = Math.max(SHARED, powerOfTwo(processes), powerOfTwo(batch_tokens / MICRO_BATCH_TOKENS));
  while (count > 1 && batch_tokens / count < max_sequence_length) count /= 2;
  return count;
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

/** What the loop is given. `F` are the figures of an evaluation. */
export interface TrainOptions<F> {
  engine: Engine;
  task: Task;
  batches: BatchStream;
  /** Batches of an update. */
  microBatches: number;
  /** Whether an update's batches are leaves of a tree of sums, which wants all of them or none. */
  cut?: boolean;
  /** The processes that share an update, if there are others. */
  crew?: Crew;
  /** What the measures evaluate, in order, if processes share that. */
  evaluated?: readonly Batch[];
  /** What is measured at pauses and at the end. */
  measures: readonly Measure<F>[];
  schedule: Schedule;
  start: Start;
  metrics: MetricsFile;
  /** Whether to measure before the first update, too. */
  measuresFirst?: boolean;
  /** Rows of new tokens that are trained alone in the first `share` of the run. */
  alone?: { first: number; count: number; share: number };
  /** Pauses for an evaluation and a checkpoint in the whole run, where steps do not say when; ten unless given. */
  milestones?: number;
  /** In steps, instead of at milestones. It also saves soon after the beginning and every few minutes. */
  saveEvery?: number;
  evaluateEvery?: number;
  /** Whether all epochs predict the same: if the first one predicts nothing, none will. */
  epochsAreAlike?: boolean;
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
export interface TrainResult<F> {
  /** Of the last update, in the order of the measures. */
  measured: (F | undefined)[];
  state: Start;
  /** Whether `signal` stopped it. */
  interrupted: boolean;
}

/**
 * Trains until the run's extent is reached or the signal says stop; saves at its end in both cases. A run whose extent was
 * reached before trains no step, and is measured if it was not.
 */
export async function train<F>(options: TrainOptions<F>): Promise<TrainResult<F>> {
  const { engine, task, batches, schedule, metrics, signal } = options;
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

  // What the exchanges between processes have taken since the last line.
  let exchanging_ms = 0;
  const exchanged = () => {
    if (options.crew === undefined) return {};
    const before = exchanging_ms;
    const exchanges = engine.describe().profile.filter(({ operation }) => operation.startsWith("exchange: "));
    exchanging_ms = exchanges.reduce((sum, { ms }) => sum + ms, 0);
    return { exchange_ms: Math.round(10 * (exchanging_ms - before)) / 10 };
  };
  const save = async (done: boolean) => {
    if (options.crew !== undefined) {
      await options.crew.lead("save");
      await together(options.crew, () => engine.collect());
    }
    await options.save({ ...state(), done });
  };

  const evaluation = new Evaluation(options, step);
  const evaluateNow = (isEnd: boolean) =>
    evaluation.take(isEnd, async (line) => {
      const metric = { ...line.record, step, elapsed_ms: Math.round(elapsed()), ...line.figures } as Metric;
      await metrics.write(metric);
      await options.onMetric(metric, progress());
    });
  const isDue = (every: number | undefined) => every !== undefined && step % every === 0;
  const isOver = () => options.start.done === true || progress() >= 1;
  // By the extent that the run began with: when it is made longer, everything has been trained.
  let isAlone = false;
  const chooseRows = async () => {
    const { alone } = options;
    const wanted = alone !== undefined && schedule.begun(reached()) < alone.share;
    if (wanted !== isAlone) await engine.trainRows(wanted ? alone : undefined);
    return isAlone = wanted;
  };

  let told: Clock = { elapsed_ms: options.start.elapsed_ms, reserved_ms: 0 }; // what all processes know of it
  const updateOf = (step: number) =>
    new Update({
      ...{ task, batches, count: options.microBatches },
      ...(options.crew === undefined ? {} : { share: options.crew.share(options.microBatches) }),
      done: () => {
        const clock = options.crew === undefined ? reached() : told;
        return schedule.recipeProgress({ ...clock, step, epoch: batches.epoch });
      },
    });
  let update = updateOf(step);
  update.take();
  if (options.crew !== undefined) update.amount = await options.crew.count(update.amount);
  if (step > 0 && isDue(options.evaluateEvery) && !isOver()) await evaluateNow(false); // it may have been stopped in it
  let hasPredicted = options.start.step > 0; // a run that goes on was checked when it began
  let interval = newInterval();
  const { milestones = MILESTONES, save_ms } = options;
  const pauses = new Pauses(schedule.extent, progress(), options.start.elapsed_ms, save_ms, milestones);
  if (options.measuresFirst === true && step === 0) await evaluateNow(false);
  while (!isOver() && !signal.aborted) {
    const rate = schedule.learningRate(reached());
    position = batches.position;
    epoch = batches.epoch;
    const upcoming = updateOf(step + 1);
    interval.wait_ms += await accumulate(options, update, step, upcoming);
    const { predicted } = update.amount;
    tokens += update.amount.tokens;
    interval.tokens += update.amount.tokens;
    interval.predicted += predicted;
    hasPredicted ||= predicted > 0;
    const alone = predicted > 0 && await chooseRows();
    if (options.crew !== undefined) {
      const { elapsed_ms, reserved_ms } = reached();
      told = { elapsed_ms, reserved_ms };
      upcoming.amount = await options.crew.lead({ learning_rate: rate, alone, ...told }, upcoming.amount);
    }
    if (predicted > 0) await together(options.crew, () => engine.update(rate, step));
    update = upcoming;
    step++;
    evaluation.forget();

    const now = performance.now();
    const done = progress();
    if (!hasPredicted && (done >= 1 || (options.epochsAreAlike === true && epoch >= 1))) throw nothingPredicted(step);
    const isMilestone = pauses.isMilestone(done, elapsed());
    const evaluates = options.evaluateEvery === undefined ? isMilestone : isDue(options.evaluateEvery);
    const saves = (options.saveEvery === undefined ? isMilestone : isDue(options.saveEvery)) ||
      pauses.isSaveDue(done, elapsed());
    const pause = done < 1 && !signal.aborted && (evaluates || saves);
    if (interval.predicted > 0 && (now - interval.began >= METRICS_EVERY_MS || done >= 1 || step === 1 || pause)) {
      const sums = await engine.report(); // a GPU has done it all only now
      const at = { step, epoch, learning_rate: rate, tokens, elapsed_ms: Math.round(elapsed()) };
      const metric = { ...trainLine(task, sums, interval, at), ...exchanged() };
      await metrics.write(metric);
      await options.onMetric(metric, done);
      interval = newInterval();
    }
    if (pause) {
      const before = performance.now();
      if (evaluates) await evaluateNow(false);
      if (saves) await save(false);
      const pause_ms = performance.now() - before;
      reserved_ms = Math.max(reserved_ms, 1.2 * pause_ms);
      // What was asked for by steps leaves the pace of the others alone.
      if (saves || isMilestone) pauses.paused(done, elapsed(), pause_ms, { milestone: isMilestone, saved: saves });
      interval = newInterval();
    }
  }
  const done = isOver();
  await save(done);
  if (done) await evaluateNow(true);
  return { measured: evaluation.measured, state: state(), interrupted: !done || !evaluation.isWhole };
}

/** What was measured of the weights as they are. */
class Evaluation<F> {
  readonly #options: TrainOptions<F>;
  /** In the order of the measures. */
  measured: (F | undefined)[];

  /** What was measured at this step already: a run may have been stopped after that. */
  constructor(options: TrainOptions<F>, step: number) {
    this.#options = options;
    this.measured = options.measures.map(({ line }) =>
      options.metrics.earlier.findLast((metric) =>
        metric.step === step &&
        Object.entries(line).every(([name, value]) => (metric as unknown as Record<string, unknown>)[name] === value)
      ) as F | undefined
    );
  }

  /** Takes what has not been measured yet; what is for the end only then. Stops with the run. */
  async take(
    isEnd: boolean,
    tell: (line: { record: Measure<F>["line"]; figures: F }) => Promise<void>,
  ): Promise<void> {
    const { measures, signal } = this.#options;
    const engine = this.#answering();
    for (const [i, measure] of measures.entries()) {
      if (this.measured[i] !== undefined || (measure.atEnd && !isEnd)) continue;
      try {
        this.measured[i] = await measure.take(engine, signal);
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
      if (this.measured[i] !== undefined) await tell({ record: measure.line, figures: this.measured[i] });
    }
  }

  /** What answers: the engine, or those of all processes. */
  #answering(): Answering {
    const { engine, crew, evaluated } = this.#options;
    if (crew === undefined || evaluated === undefined) return engine;
    const shared = new SharedEvaluation(engine, crew, evaluated);
    return {
      evaluate: (batch) => shared.evaluate(batch),
      sequenceLogits: (batch, outputs) => engine.sequenceLogits(batch, outputs),
      logits: (batch) => engine.logits(batch),
    };
  }

  /** Forgets it, because the weights have changed. */
  forget(): void {
    this.measured = this.#options.measures.map(() => undefined);
  }

  get isWhole(): boolean {
    return this.measured.every((figures) => figures !== undefined);
  }
}

/** What is said of a run that had nothing to learn from. */
function nothingPredicted(steps: number): ClozeError {
  return new ClozeError("input", `nothing was learned: in ${steps} steps no token was chosen to be predicted`, {
    hint: "give more text, more --steps or a higher --mlm-probability",
  });
}

/** Does what all processes do at once. */
export function together<T>(crew: Pick<Crew, "together"> | undefined, work: () => Promise<T>): Promise<T> {
  return crew === undefined ? work() : crew.together(work);
}

/** What happened since the last line of metrics. */
interface Interval {
  began: number;
  tokens: number;
  predicted: number;
  /** At most so long did the engine wait for a batch. */
  wait_ms: number;
}

function newInterval(): Interval {
  return { began: performance.now(), tokens: 0, predicted: 0, wait_ms: 0 };
}

/** The line of metrics about the updates since the line before. */
function trainLine(
  task: Task,
  sums: TrainingReport,
  { began, tokens, wait_ms }: Interval,
  at: Pick<TrainMetric, "step" | "epoch" | "learning_rate" | "tokens" | "elapsed_ms">,
): TrainMetric {
  const seconds = (performance.now() - began) / 1000;
  return {
    kind: "train",
    step: at.step,
    epoch: at.epoch,
    ...task.trained(sums),
    learning_rate: at.learning_rate,
    grad_norm: sums.grad_norm,
    tokens: at.tokens,
    tokens_per_second: Math.round(tokens / seconds),
    elapsed_ms: at.elapsed_ms,
    data_wait_ms: Math.round(10 * wait_ms) / 10,
  };
}
