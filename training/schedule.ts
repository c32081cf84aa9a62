/** Progress of a run, from 0 to 1, the learning rate that follows from it, and when a run pauses. */

import type { Extension, Extent, OptimizerConfig } from "../config/run_config.ts";

/** Where a run is. */
export interface Reached {
  /** Updates done. */
  step: number;
  /** Passes over the data, with a fraction. */
  epoch: number;
  /** Wall clock since the start, over all resumed parts. */
  elapsed_ms: number;
  /** Wall clock to keep for the last evaluation and checkpoint. */
  reserved_ms: number;
}

/** Share of the run that is done, 1 at its end. */
export function progressOf(extent: Extent, reached: Reached): number {
  if ("steps" in extent) return Math.min(1, reached.step / extent.steps);
  if ("epochs" in extent) return Math.min(1, reached.epoch / extent.epochs);
  const available = Math.max(1, extent.budget_ms - reached.reserved_ms);
  return Math.min(1, reached.elapsed_ms / available);
}

/** Pauses for an evaluation and a checkpoint in a run, unless asked for by steps. */
export const MILESTONES = 10;
/** Most wall clock between two checkpoints, about. */
const SAVE_EVERY_MS = 180_000;
/** Most of a run's time that pauses take, as a share; those for milestones only in a run by time, which then has fewer. */
const PAUSED = 0.1;
/** Time that has to follow a pause, in lengths of the pause. */
const REST = 1 / PAUSED - 1;

/** When a run pauses: at milestones to evaluate and save, and in between, by the clock, to save. */
export class Pauses {
  readonly #byTime: boolean;
  readonly #milestones: number;
  /** The next milestone. */
  #next: number;
  /** Length of the last pause at a milestone. */
  #milestone_ms = 0;
  /** Length of the last pause, and when it ended. */
  #pause_ms: number;
  #ended_ms: number;
  #saved_ms: number;

  /**
   * Of a run that is at `progress`. The first checkpoint of a new one comes soon.
   *
   * @param save_ms how long a checkpoint takes, as far as that can be known before.
   * @param milestones how many there are in the whole run.
   */
  constructor(extent: Extent, progress: number, elapsed_ms: number, save_ms: number, milestones = MILESTONES) {
    this.#milestones = milestones;
    this.#byTime = "budget_ms" in extent;
    this.#next = Math.floor(progress * milestones) + 1;
    this.#pause_ms = save_ms;
    this.#ended_ms = elapsed_ms;
    this.#saved_ms = elapsed_ms === 0 ? -SAVE_EVERY_MS : elapsed_ms;
  }

  /** Whether the run is at a milestone, at this progress and this wall clock of the run. */
  isMilestone(progress: number, elapsed_ms: number): boolean {
    if (progress * this.#milestones < this.#next) return false;
    return !this.#byTime ||
      (this.#hasRested(elapsed_ms) && leftOf(progress, elapsed_ms) >= REST * this.#milestone_ms);
  }

  /** Whether it is time for a checkpoint in between. */
  isSaveDue(progress: number, elapsed_ms: number): boolean {
    return elapsed_ms - this.#saved_ms >= SAVE_EVERY_MS && this.#hasRested(elapsed_ms) &&
      (!this.#byTime || leftOf(progress, elapsed_ms) >= REST * this.#pause_ms);
  }

  #hasRested(elapsed_ms: number): boolean {
    return elapsed_ms - this.#ended_ms >= REST * this.#pause_ms;
  }

  /** Notes that the run has paused, until `elapsed_ms`, and what for. */
  paused(progress: number, elapsed_ms: number, pause_ms: number, what: { milestone: boolean; saved: boolean }): void {
    this.#pause_ms = pause_ms;
    this.#ended_ms = elapsed_ms;
    if (what.saved) this.#saved_ms = elapsed_ms;
    if (!what.milestone) return;
    this.#next = Math.floor(progress * this.#milestones) + 1;
    this.#milestone_ms = pause_ms;
  }
}

/** Time until the run's end, if it goes on as before. */
function leftOf(progress: number, elapsed_ms: number): number {
  return elapsed_ms / progress - elapsed_ms;
}

/** What a run's learning rate and its end follow from: its configuration, and what it was extended by. */
export class Schedule {
  readonly #training: OptimizerConfig & { extent: Extent };
  readonly #extensions: readonly Extension[];

  constructor(training: OptimizerConfig & { extent: Extent }, extensions: readonly Extension[] = []) {
    this.#training = training;
    this.#extensions = extensions;
  }

  /** What the run was extended by. */
  get extensions(): readonly Extension[] {
    return this.#extensions;
  }

  /** How long the run is. */
  get extent(): Extent {
    return this.#extensions.at(-1)?.extent ?? this.#training.extent;
  }

  progress(reached: Reached): number {
    return progressOf(this.extent, reached);
  }

  /** Share that is done of the extent that the run began with. */
  begun(reached: Reached): number {
    return progressOf(this.#training.extent, reached);
  }

  /** Share that is done, of the extent that the run had at this step. */
  doneAt(reached: Reached): number {
    return progressOf(this.#at(reached)?.extent ?? this.#training.extent, reached);
  }

  /**
   * Share of the recipe that is done: what masks and sequence lengths follow. Unlike the learning rate it never goes back
   * in a run that is made longer, but on from where it stood, to 1 at the new end.
   */
  recipeProgress(reached: Reached): number {
    const done = this.doneAt(reached), extension = this.#at(reached);
    if (extension === undefined) return done;
    const { progress, recipe_progress = progress } = extension;
    return recipe_progress + (1 - recipe_progress) * Math.max(0, done - progress) / (1 - progress);
  }

  /** The last extension before a step. */
  #at({ step }: Reached): Extension | undefined {
    return this.#extensions.findLast((extension) => extension.step <= step);
  }

  /**
   * The learning rate of the next update. From an extension on it is that of a run which had the new extent from the
   * beginning; it moves there from where it stood in the first `warmup_ratio` of what was added.
   */
  learningRate(reached: Reached): number {
    const extension = this.#at(reached);
    const progress = this.doneAt(reached);
    const target = learningRate(progress, this.#training);
    if (extension === undefined) return target;
    const share = (progress - extension.progress) / (1 - extension.progress);
    const weight = Math.min(1, Math.max(0.01, share / Math.max(1e-9, this.#training.warmup_ratio)));
    return (1 - weight) * extension.learning_rate + weight * target;
  }

  /** What an extension by `extent` is where the run stands. */
  extension(extent: Extent, reached: Reached): Extension {
    return {
      step: reached.step,
      extent,
      progress: progressOf(extent, reached),
      recipe_progress: this.recipeProgress(reached),
      learning_rate: this.learningRate(reached),
    };
  }
}

/** Linear warmup, then linear decay to zero (Devlin et al., 2019, appendix A.2). */
export function learningRate(progress: number, training: OptimizerConfig): number {
  const { learning_rate, warmup_ratio } = training;
  if (progress < warmup_ratio) {
    // The first update has progress 0; it gets a small rate instead of none.
    return learning_rate * Math.max(progress / warmup_ratio, 0.01);
  }
  return learning_rate * Math.max(0, (1 - progress) / (1 - warmup_ratio));
}
