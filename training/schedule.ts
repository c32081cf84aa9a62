/** Progress of a run, from 0 to 1, and the learning rate that follows from it. */

import type { Extent, OptimizerConfig } from "../config/run_config.ts";
import type { AdamWOptions } from "../ffi/mod.ts";

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
const MILESTONES = 10;
/** Most of a run by time that such pauses take, as a share: a short one has fewer of them instead. */
const PAUSED = 0.1;

/** When a run pauses. */
export class Milestones {
  #next: number;
  #ended_ms = 0;
  #rest_ms = 0;
  readonly #extent: Extent;

  /** Of a run that is at `progress`. */
  constructor(extent: Extent, progress: number) {
    this.#extent = extent;
    this.#next = Math.floor(progress * MILESTONES) + 1;
  }

  /** Whether it is time, at this progress and this wall clock of the run. */
  isDue(progress: number, elapsed_ms: number): boolean {
    const left_ms = elapsed_ms / progress - elapsed_ms; // until the last evaluation
    return progress * MILESTONES >= this.#next && Math.min(elapsed_ms - this.#ended_ms, left_ms) >= this.#rest_ms;
  }

  /** Notes that the run has paused, at `progress`, until `elapsed_ms`. */
  paused(progress: number, elapsed_ms: number, pause_ms: number): void {
    this.#next = Math.floor(progress * MILESTONES) + 1;
    this.#ended_ms = elapsed_ms;
    if ("budget_ms" in this.#extent) this.#rest_ms = pause_ms * (1 / PAUSED - 1);
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

/** What an update is done with. */
export function hyperparameters(
  training: Omit<OptimizerConfig, "learning_rate">,
  learning_rate: number,
): AdamWOptions {
  return {
    learning_rate,
    beta1: training.adam_beta1,
    beta2: training.adam_beta2,
    epsilon: training.adam_epsilon,
    weight_decay: training.weight_decay,
    max_grad_norm: training.max_grad_norm,
  };
}
