/**
 * What a person sees of a fine-tuning while it goes: lines on the terminal and the report. Watches and writes; changes
 * nothing about the training. Called by the finetune command.
 */

import type { Metric } from "../../../config/metric.ts";
import { readClassifier } from "../../../report/mod.ts";
import { classificationLine } from "../../../tasks/sequence_classification.ts";
import { grouped, note, progress } from "../../terminal.ts";
import { LiveChart, LivePage, TimeLeft, trainingLine } from "../../training_view.ts";

/** Watches one fine-tuning. */
export class FinetuneObserver {
  readonly #timeLeft = new TimeLeft();
  readonly #chart: LiveChart;
  readonly #page: LivePage;
  readonly #train: Extract<Metric, { kind: "train" }>[] = [];
  readonly #evaluations: Extract<Metric, { kind: "classification" }>[] = [];

  /** @param earlier what was recorded before a run that goes on was stopped. */
  constructor(output: string, chart: boolean, earlier: readonly Metric[] = []) {
    this.#chart = new LiveChart(chart);
    this.#page = new LivePage(output, readClassifier);
    this.#chart.announce();
    for (const metric of earlier) this.#take(metric);
  }

  /** Takes what the loop says. What is measured at the end is left to the command to tell. */
  async see(metric: Metric, done: number): Promise<void> {
    this.#take(metric);
    if (metric.kind === "classification") {
      if (done < 1) note(`step ${grouped(metric.step)}: ${classificationLine(metric)}`);
      await this.report();
    } else if (metric.kind === "train") {
      const chart = this.#chart.lines({ train: this.#train, evaluations: this.#evaluations });
      progress(...chart, trainingLine(metric, done, this.#timeLeft.of(metric.elapsed_ms, done)));
    }
  }

  #take(metric: Metric): void {
    if (metric.kind === "train") this.#train.push(metric);
    if (metric.kind === "classification" && metric.split === "valid") this.#evaluations.push(metric);
  }

  /** Writes the page. */
  async report(): Promise<void> {
    await this.#page.write();
  }
}
