/** `metrics.jsonl`: one JSON object a line, appended as the run goes. */

import { ioError } from "../config/cloze_error.ts";
import { AppendedFile } from "../config/whole_file.ts";
import type { MaskingStatistics, TextStatistics, UnknownCauses } from "../data/mod.ts";
import type { Evaluation, UnigramBaseline } from "./evaluation.ts";
import type { ClassifierEvaluation } from "./finetune.ts";

export type { MaskingStatistics, TextStatistics, UnknownCauses } from "../data/mod.ts";

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
  | ({ kind: "classification"; split: "train" | "valid"; step: number; elapsed_ms: number } & ClassifierEvaluation)
  | RunStart
  | Blanks
  | Warning
  | {
    kind: "end";
    step: number;
    elapsed_ms: number;
    /** Whether it was asked to stop before its end. */
    interrupted: boolean;
  };

/** What is known when a run begins, or goes on after `step`. */
export interface RunStart {
  kind: "start";
  step: number;
  elapsed_ms: number;
  /** ISO 8601. */
  time: string;
  /** As typed, and where. */
  command: string;
  folder: string;
  versions: { cloze: string; deno: string; platform: string };
  engine: { engine: string; instruction_set: string; threads: number; parameter_count: number };
  /** `sha256`: of everything that decides which ids a text becomes. */
  tokenizer: { size: number; lowercase: boolean; sha256: string };
  train: TextStatistics;
  held_out: TextStatistics;
  /** Share of the lines of both texts that an earlier line is equal to; `null` if they were not counted. */
  duplicate_share: number | null;
  /** Why words became `[UNK]`; missing if none did, or if it was not recorded. */
  unknown?: UnknownCauses;
  masking: MaskingStatistics;
  unigram: UnigramBaseline;
  /** Next-sentence prediction: accuracy of always giving the answer that is right more often. */
  nsp_majority?: number;
}

/** How the model fills the same blanks as at the other evaluations. */
export interface Blanks {
  kind: "blanks";
  step: number;
  elapsed_ms: number;
  lines: {
    /** With one `[MASK]`. */
    text: string;
    /** What stood there, if that is known. */
    answer?: string;
    /** Best first. */
    predictions: { token: string; probability: number }[];
  }[];
}

/** What a watchdog noticed. */
export interface Warning {
  kind: "warning";
  step: number;
  elapsed_ms: number;
  rule:
    | "non_finite"
    | "plateau"
    | "repeated_text"
    | "data_stall"
    | "unknown_words"
    | "seen_text"
    | "nothing_held_out";
  message: string;
  hint: string;
}

/** Appends to the file; lines of steps after `step` are dropped first, when a run is resumed. */
export class MetricsFile {
  readonly #file: AppendedFile;
  /** What was in the file already, in order. */
  readonly earlier: readonly Metric[];

  private constructor(file: AppendedFile, earlier: readonly Metric[]) {
    this.#file = file;
    this.earlier = earlier;
  }

  static async open(path: string, step: number): Promise<MetricsFile> {
    const kept = (await readMetrics(path)).filter((metric) => metric.step <= step);
    const file = await AppendedFile.create(path, kept.map((metric) => JSON.stringify(metric) + "\n").join(""));
    return new MetricsFile(file, kept);
  }

  // deno-lint-ignore require-await
  async write(metric: Metric): Promise<void> {
    this.#file.append(JSON.stringify(metric) + "\n");
  }
}

/** The lines of a metrics file, in order; none if there is no such file. The end of a line that a crash cut off is left out. */
export async function readMetrics(path: string): Promise<Metric[]> {
  const text = await Deno.readTextFile(path).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return "";
    throw ioError(error, "read", path);
  });
  return text.split("\n").flatMap((line): Metric[] => {
    try {
      const metric = JSON.parse(line);
      return typeof metric?.step === "number" ? [metric] : [];
    } catch {
      return [];
    }
  });
}
