/** `metrics.jsonl`: one JSON object a line, appended as the run goes. */

import { ioError } from "../config/cloze_error.ts";
import type { Evaluation } from "./evaluation.ts";
import { writeWhole } from "./files.ts";
import type { ClassifierEvaluation } from "./finetune.ts";

/** A line of `metrics.jsonl`. Losses in nats per predicted token. */
export type Metric =
  | {
    kind: "train";
    step: number;
    epoch: number;
    loss: number;
    accuracy: number;
    /** Of the pairs, where the objective has next-sentence prediction; nats per pair. */
    nsp_loss?: number;
    nsp_accuracy?: number;
    learning_rate: number;
    grad_norm: number;
    tokens: number;
    tokens_per_second: number;
    elapsed_ms: number;
    /** Since the last line: at most so long did the engine wait for a batch. */
    data_wait_ms: number;
  }
  | ({ kind: "evaluation"; step: number; elapsed_ms: number } & Evaluation)
  | ({ kind: "classification"; split: "train" | "valid"; step: number; elapsed_ms: number } & ClassifierEvaluation);

/** Appends to the file; lines of steps after `step` are dropped first, when a run is resumed. */
export class MetricsFile {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  static async open(path: string, step: number): Promise<MetricsFile> {
    const old = await Deno.readTextFile(path).catch(() => "");
    const kept = old.split("\n").filter((line) => {
      try {
        return (JSON.parse(line) as Metric).step <= step;
      } catch {
        return false; // the end of a line that a crash cut off
      }
    });
    await writeWhole(path, kept.map((line) => line + "\n").join(""));
    return new MetricsFile(path);
  }

  async write(metric: Metric): Promise<void> {
    try {
      await Deno.writeTextFile(this.#path, JSON.stringify(metric) + "\n", { append: true });
    } catch (error) {
      throw ioError(error, "write", this.#path);
    }
  }
}
