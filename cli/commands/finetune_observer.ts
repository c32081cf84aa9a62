/**
 * What a person sees of a fine-tuning while it goes: lines on the terminal and the report. Watches and writes; changes
 * nothing about the training. Called by the finetune command.
 */

import { ClozeError, messageOf } from "../../config/cloze_error.ts";
import { readClassifier, writeReport } from "../../report/mod.ts";
import type { ClassifierEvaluation } from "../../training/finetune.ts";
import type { Metric } from "../../training/metrics.ts";
import { liveChart } from "../live_chart.ts";
import { clock, grouped, isLive, note, percent, progress, warn } from "../terminal.ts";

/** Watches one fine-tuning. */
export class FinetuneObserver {
  readonly #output: string;
  readonly #chart: boolean;
  readonly #train: Extract<Metric, { kind: "train" }>[] = [];
  readonly #evaluations: Extract<Metric, { kind: "classification" }>[] = [];
  #reportFailed = false;

  constructor(output: string, chart: boolean) {
    this.#output = output;
    this.#chart = chart;
    if (chart && !isLive()) note("--chart needs a terminal; it trains without one");
  }

  /** Takes what the loop says. What is measured at the end is left to the command to tell. */
  async see(metric: Metric, done: number): Promise<void> {
    if (metric.kind === "classification") {
      if (metric.split === "valid") this.#evaluations.push(metric);
      if (done < 1) note(`step ${grouped(metric.step)}: ${describe(metric)}`);
      await this.report();
    } else if (metric.kind === "train") {
      this.#train.push(metric);
      const left = done > 0 ? metric.elapsed_ms * (1 - done) / done : 0;
      const line = `step ${grouped(metric.step)}  ${percent(done)}  loss ${metric.loss.toFixed(3)}  ` +
        `${grouped(metric.tokens_per_second)} tokens/s  ${clock(left)} left`;
      const chart = this.#chart && isLive()
        ? liveChart({ train: this.#train, evaluations: this.#evaluations }, undefined)
        : [];
      progress(...chart, line);
    }
  }

  /** Writes the page. A page that cannot be written is no reason to stop; it is said once. */
  async report(): Promise<void> {
    try {
      await writeReport([await readClassifier(this.#output)], `${this.#output}/report.html`);
    } catch (error) {
      if (!this.#reportFailed) warn(messageOf(error), error instanceof ClozeError ? error.hint : undefined);
      this.#reportFailed = true;
    }
  }
}

/** An evaluation in a line. */
export function describe(evaluation: ClassifierEvaluation): string {
  const { accuracy, accuracy_interval, macro_f1, macro_f1_interval, majority, loss, count } = evaluation;
  return `accuracy ${percent(accuracy)} (95% interval ${accuracy_interval.map(percent).join("–")}), ` +
    `macro-F1 ${percent(macro_f1)} (${macro_f1_interval.map(percent).join("–")}), loss ${loss.toFixed(3)} ` +
    `on ${grouped(count)}; the commonest class: ${percent(majority)}`;
}
