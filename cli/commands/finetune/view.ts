/**
 * What a person sees of a fine-tuning: its texts and its model, and while it goes, lines on the terminal and the report.
 * Watches and writes; changes nothing about the training.
 */

import { program, quoted } from "../../../config/called.ts";
import type { Metric } from "../../../config/metric.ts";
import type { ModelConfig } from "../../../config/model_config.ts";
import { counted, grouped } from "../../../config/numbers.ts";
import type { EngineDescription } from "../../../ffi/mod.ts";
import { classifierStage, readClassifier } from "../../../report/mod.ts";
import { classificationLine, regressionLine } from "../../../tasks/sequence_classification.ts";
import { bold, note, progress } from "../../terminal.ts";
import { longerCommand } from "./again.ts";
import type { FinetuneOptions } from "./flags.ts";
import { LiveChart, LivePage, TimeLeft, trainingLine } from "../../training_view.ts";

/** Watches one fine-tuning. */
export class FinetuneObserver {
  readonly #timeLeft = new TimeLeft();
  readonly #chart: LiveChart;
  readonly #page: LivePage;
  readonly #train: Extract<Metric, { kind: "train" }>[] = [];
  readonly #evaluations: Extract<Metric, { kind: "classification" | "regression" }>[] = [];

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
    if (metric.kind === "classification" || metric.kind === "regression") {
      const line = metric.kind === "regression" ? regressionLine(metric) : classificationLine(metric);
      if (done < 1) note(`step ${grouped(metric.step)}: ${line}`);
      await this.report();
    } else if (metric.kind === "train") {
      const chart = this.#chart.lines({ train: this.#train, evaluations: this.#evaluations });
      progress(...chart, trainingLine(metric, done, this.#timeLeft.of(metric.elapsed_ms, done)));
    }
  }

  #take(metric: Metric): void {
    if (metric.kind === "train") this.#train.push(metric);
    if ((metric.kind === "classification" || metric.kind === "regression") && metric.split === "valid") {
      this.#evaluations.push(metric);
    }
  }

  /** Writes the page. */
  async report(): Promise<void> {
    await this.#page.write();
  }
}

/** Says how far it has come, where everything is and what to type next. */
export async function sayEnd(output: string, shown: string, values: FinetuneOptions): Promise<void> {
  const judged = classifierStage(await readClassifier(output));
  if (judged !== undefined) note(bold("verdict  ") + `${judged.stage}: ${judged.why}`);
  note(bold("folder   ") + output);
  note(bold("report   ") + `${output}/report.html`);
  const predict = `${program()} predict --model ${quoted(shown)} < lines.txt`;
  if (judged?.epochs === undefined) {
    note(bold("next     ") + predict);
    return;
  }
  note(bold("next     ") + longerCommand(values, judged.epochs, shown));
  note(bold("try      ") + predict);
}

/** Says how many texts there are, such as `5 texts`, and of which classes. */
export function sayData(train: string, valid: number, labels: readonly string[]): void {
  note(
    bold("data     ") + `${train} to train on, ${grouped(valid)} to measure on; ` +
      `classes ${labels.length > 10 ? `${labels.length}` : labels.join(", ")}`,
  );
}

/** Says what is trained. `start`: where its weights come from, and what stays as it is. */
export function sayModel(config: ModelConfig, about: EngineDescription, start: string, leftToRight: boolean): void {
  note(
    bold("model    ") + `${counted(config.num_hidden_layers, "layer")} of ${config.hidden_size}, ` +
      `${grouped(about.parameter_count)} parameters; ${start}; ` +
      `${about.dtype}, ${about.instruction_set}, ${counted(about.threads, "thread")}`,
  );
  if (!leftToRight) return;
  note(
    "         left to right: attention sees what stands before, and the last token is pooled; for comparison, and not " +
      "for transformers",
  );
}

/** Which parts of the model start at random, by the names of their tensors. */
export function newParts(initialized: EngineDescription["initialized"]): string {
  const modules = [...new Set(initialized.map(({ name }) => name.replace(/(\.dense)?\.(weight|bias)$/, "")))];
  return modules.length === 0 ? "all of them from the model" : `new: ${modules.join(", ")}`;
}
