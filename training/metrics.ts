/** `metrics.jsonl`: one JSON object a line, appended as the run goes. */

import { type CheckedLine, checkedLine, checkedLines } from "../config/checked_lines.ts";
import { readWhole } from "../config/regular_file.ts";
import { AppendedFile } from "../config/whole_file.ts";
import type { MaskingStatistics, TextStatistics, UnknownCauses } from "../data/mod.ts";
import type { Evaluation, UnigramBaseline } from "./evaluation.ts";
import { exists } from "./files.ts";
import type { ClassifierEvaluation } from "./finetune.ts";

export type { MaskingStatistics, TextStatistics, UnknownCauses } from "../data/mod.ts";

/** Most bytes of a metrics file: months of lines. */
const LONGEST = 1 << 29;

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
  readonly #damages: readonly string[];
  #count: number;

  private constructor(file: AppendedFile, count: number, { metrics, damages }: Omit<MetricsRead, "count">) {
    this.#file = file;
    this.#count = count;
    this.earlier = metrics;
    this.#damages = damages;
  }

  static async open(path: string, step: number): Promise<MetricsFile> {
    const { lines, isCutOff } = await linesOf(path);
    const isKept = ({ value }: CheckedLine) => value === undefined || (isMetric(value) && value.step <= step);
    const kept = lines.filter(isKept);
    const content = kept.map(({ text, value }) => value === undefined ? `${text}\n` : checkedLine(value)).join("");
    const file = await AppendedFile.create(path, content);
    return new MetricsFile(file, kept.length, metricsRead({ lines: kept, isCutOff }));
  }

  /**
   * What is wrong with what was in the file, in sentences. Damaged lines stay in it as they are.
   *
   * @param lines how many the run's checkpoint knows of
   */
  lacks(lines = 0): string[] {
    const missing = `metrics.jsonl has ${this.#count} lines, but had ${lines} at that checkpoint`;
    return this.#count < lines ? [...this.#damages, missing] : [...this.#damages];
  }

  /** Lines in the file. */
  get count(): number {
    return this.#count;
  }

  // deno-lint-ignore require-await
  async write(metric: Metric): Promise<void> {
    this.#file.append(checkedLine(metric));
    this.#count++;
  }
}

/** What a metrics file holds. */
export interface MetricsRead {
  /** Lines, damaged ones included. */
  count: number;
  /** The lines that are whole, in order. */
  metrics: Metric[];
  /** What is wrong with the others, in sentences. */
  damages: string[];
}

/** Reads a metrics file; there is nothing in one that is not there. */
export async function readMetricsFile(path: string): Promise<MetricsRead> {
  return metricsRead(await linesOf(path));
}

/** The whole lines of a metrics file, in order; none if there is no such file. */
export async function readMetrics(path: string): Promise<Metric[]> {
  return (await readMetricsFile(path)).metrics;
}

async function linesOf(path: string): Promise<ReturnType<typeof checkedLines>> {
  if (!await exists(path)) return checkedLines("");
  // A byte that is not UTF-8 damages its line only.
  return checkedLines(new TextDecoder().decode(await readWhole(path, LONGEST)));
}

function metricsRead({ lines, isCutOff }: ReturnType<typeof checkedLines>): MetricsRead {
  const damaged = lines.filter(({ value }) => value === undefined).map(({ number }) => number);
  const damages: string[] = [];
  if (damaged.length > 0) {
    const some = damaged.slice(0, 10).join(", ") + (damaged.length > 10 ? " and others" : "");
    const [noun, verb] = damaged.length === 1 ? ["line", "is"] : ["lines", "are"];
    damages.push(`${noun} ${some} of metrics.jsonl ${verb} damaged and left out`);
  }
  if (isCutOff) damages.push("the last line of metrics.jsonl is cut off and left out");
  const metrics = lines.flatMap(({ value }) => value !== undefined && isMetric(value) ? [value] : []);
  return { count: lines.length, metrics, damages };
}

function isMetric(value: object): value is Metric {
  return typeof (value as { step?: unknown }).step === "number";
}
