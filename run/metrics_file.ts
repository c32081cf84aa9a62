/** `metrics.jsonl`: one JSON object a line, appended as the run goes. */

import { type CheckedLine, checkedLine, checkedLines } from "../config/checked_lines.ts";
import { exists } from "../config/folder.ts";
import type { Metric } from "../config/metric.ts";
import { readWhole } from "../config/regular_file.ts";
import { AppendedFile } from "../config/whole_file.ts";

/** Most bytes of a metrics file: months of lines. */
const LONGEST = 1 << 29;

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
