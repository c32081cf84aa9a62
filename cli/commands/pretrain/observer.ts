/**
 * What a person sees of a training run while it goes: lines on the terminal, warnings, filled blanks, the report. Watches
 * and writes; changes nothing about the training.
 */

import { ClozeError } from "../../../config/cloze_error.ts";
import type { Metric, RunStart, Warning } from "../../../config/metric.ts";
import { grouped } from "../../../config/numbers.ts";
import type { Blank } from "../../../data/mod.ts";
import type { FillMask } from "../../../inference/fill_mask.ts";
import { readRun } from "../../../report/mod.ts";
import type { MetricsFile } from "../../../run/metrics_file.ts";
import { evaluationLine } from "../../../tasks/token_evaluation.ts";
import { nonFinite, Watchdogs } from "../../../training/watchdogs.ts";
import { isLive, note, progress, warn } from "../../terminal.ts";
import { LiveChart, LivePage, TimeLeft, trainingLine } from "../../training_view.ts";

/** What it watches. */
export interface ObserverOptions {
  /** The run's folder. */
  output: string;
  metrics: MetricsFile;
  start: RunStart;
  /** What is wrong with its text. */
  warnings: readonly Warning[];
  /** Filled at every evaluation. */
  blanks: readonly Blank[];
  model: FillMask;
  chart: boolean;
}

/** Watches one run. */
export class PretrainObserver {
  readonly #options: ObserverOptions;
  readonly #blanks: Blank[];
  readonly #watchdogs: Watchdogs;
  readonly #train: Extract<Metric, { kind: "train" }>[] = [];
  readonly #evaluations: Extract<Metric, { kind: "evaluation" }>[] = [];
  /** What the progress line says. */
  #line = "";
  #last = { step: 0, elapsed_ms: 0 };
  #memory_bytes = 0;
  readonly #timeLeft = new TimeLeft();
  readonly #chart: LiveChart;
  readonly #page: LivePage;

  constructor(options: ObserverOptions) {
    this.#options = options;
    this.#blanks = options.blanks.filter(({ text }) => fits(options.model, text));
    this.#watchdogs = new Watchdogs(options.start.unigram.entropy ?? Infinity);
    this.#chart = new LiveChart(options.chart);
    this.#page = new LivePage(options.output, readRun);
    for (const metric of options.metrics.earlier) this.#take(metric);
  }

  /** Records that the run begins or goes on, and what is wrong with its text. */
  async begin(): Promise<void> {
    const { start, metrics, warnings } = this.#options;
    await metrics.write(start);
    if (start.step === 0) { for (const warning of warnings) await this.#warn(warning); }
    this.#chart.announce();
    await this.#page.write();
  }

  /** Takes what the loop says. */
  async see(metric: Metric, done: number): Promise<void> {
    for (const warning of this.#take(metric)) await this.#warn(warning);
    this.#memory_bytes = Math.max(this.#memory_bytes, Deno.memoryUsage().rss);
    if (metric.kind === "evaluation") {
      note(`step ${grouped(metric.step)}: ${evaluationLine(metric, this.#options.start.unigram.loss)}`);
      await this.#fill();
      await this.#page.write();
      if (isLive() && this.#line !== "") progress(...this.#chartLines(), this.#line); // the note took it away
    } else if (metric.kind === "train") {
      this.#line = trainingLine(metric, done, this.#timeLeft.of(metric.elapsed_ms, done));
      progress(...this.#chartLines(), this.#line);
    }
  }

  /** Records how the run ended. */
  async end(end: { step: number; elapsed_ms: number; interrupted: boolean }): Promise<void> {
    const { step, elapsed_ms, interrupted } = end;
    const memory_bytes = this.#memory_bytes;
    await this.#options.metrics.write({ kind: "end", step, elapsed_ms, interrupted, memory_bytes });
    await this.#page.write();
  }

  /** Records that a number was no longer finite. */
  async diverged(message: string): Promise<void> {
    await this.#options.metrics.write(nonFinite(message, this.#last));
    await this.#page.write();
  }

  #take(metric: Metric): Warning[] {
    this.#last = { step: metric.step, elapsed_ms: metric.elapsed_ms };
    if (metric.kind === "train") this.#train.push(metric);
    if (metric.kind === "evaluation") this.#evaluations.push(metric);
    return this.#watchdogs.see(metric);
  }

  async #warn(warning: Warning): Promise<void> {
    await this.#options.metrics.write(warning);
    warn(warning.message, warning.hint);
  }

  async #fill(): Promise<void> {
    const { model, metrics } = this.#options;
    if (this.#blanks.length === 0) return;
    const filled = await model.fill(this.#blanks.map(({ text }) => text));
    const lines = filled.map(({ masks: [answers] }, i) => ({
      ...this.#blanks[i],
      predictions: answers.map(({ token, probability }) => ({
        token,
        probability: Number(probability.toPrecision(4)),
      })),
    }));
    await metrics.write({ kind: "blanks", ...this.#last, lines });
  }

  #chartLines(): string[] {
    const { unigram } = this.#options.start;
    return this.#chart.lines({ train: this.#train, evaluations: this.#evaluations }, unigram.loss ?? undefined);
  }
}

/** Whether the model, as it is being trained, can take a sentence. */
function fits(model: FillMask, text: string): boolean {
  try {
    model.prepare(text);
    return true;
  } catch (error) {
    if (error instanceof ClozeError) return false;
    throw error;
  }
}
