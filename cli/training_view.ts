/**
 * What a person sees of training while it goes: a line of progress, the loss drawn above it, and a page. Called by the
 * observers of the commands that train.
 */

import { ClozeError, messageOf } from "../config/cloze_error.ts";
import type { Metric } from "../config/metric.ts";
import { clock, grouped, percent } from "../config/numbers.ts";
import { type AnyRecord, lossChart, writeReport } from "../report/mod.ts";
import { isLive, note, terminalSize, warn } from "./terminal.ts";

/** Largest size of the chart, in characters; beside it the terminal keeps some lines for what is said. */
const CHART = { columns: 100, lines: 10, spare: 6 };

/** Progress from 0 to 1, loss and rate in a line, and the time left once it is known. */
export function trainingLine(
  { step, loss, tokens_per_second }: Extract<Metric, { kind: "train" }>,
  done: number,
  left_ms: number | undefined,
): string {
  const line = `step ${grouped(step)}  ${percent(done)}  loss ${loss.toFixed(3)}  ${
    grouped(tokens_per_second)
  } tokens/s`;
  return left_ms === undefined ? line : `${line}  ${clock(left_ms)} left`;
}

/** The first seconds are slower than the rest: before this many milliseconds nothing is said of the time left. */
const KNOWN_AFTER_MS = 5000;

/** How much time a run still takes, from the rate since it began or went on here. */
export class TimeLeft {
  #first: { elapsed_ms: number; done: number } | undefined;

  /** In milliseconds; `undefined` as long as it is not known. */
  of(elapsed_ms: number, done: number): number | undefined {
    this.#first ??= { elapsed_ms, done };
    const took_ms = elapsed_ms - this.#first.elapsed_ms, went = done - this.#first.done;
    return took_ms < KNOWN_AFTER_MS || went <= 0 ? undefined : took_ms * (1 - done) / went;
  }
}

/** The loss as a chart, where it is asked for and the terminal has room. */
export class LiveChart {
  readonly #asked: boolean;

  constructor(asked: boolean) {
    this.#asked = asked;
  }

  /** Says so if it cannot be drawn. */
  announce(): void {
    if (this.#asked && !isLive()) note("--chart needs a terminal; it trains without one");
  }

  /** Its lines; none where it is not drawn. */
  lines(run: Parameters<typeof lossChart>[0], guessing?: number): string[] {
    if (!this.#asked || !isLive()) return [];
    const { columns, rows } = terminalSize();
    const lines = Math.min(CHART.lines, rows - CHART.spare);
    return lines < 3 ? [] : lossChart(run, guessing, Math.min(CHART.columns, columns - 1), lines);
  }
}

/** The page in a run's folder. One that cannot be written is no reason to stop the run; it is said once. */
export class LivePage {
  readonly #output: string;
  readonly #read: (path: string) => Promise<AnyRecord>;
  #failed = false;

  constructor(output: string, read: (path: string) => Promise<AnyRecord>) {
    this.#output = output;
    this.#read = read;
  }

  async write(): Promise<void> {
    try {
      await writeReport([await this.#read(this.#output)], `${this.#output}/report.html`);
    } catch (error) {
      if (!this.#failed) warn(messageOf(error), error instanceof ClozeError ? error.hint : undefined);
      this.#failed = true;
    }
  }
}
