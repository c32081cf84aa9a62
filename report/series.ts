/** A run's metrics as columns that a chart can draw, thinned where there are more points than pixels. */

import { referenceBand } from "./reference_band.ts";
import { lastStart, objectiveOf, type RunRecord } from "./run_record.ts";

/** Points that a curve keeps; about as many as it has pixels. */
const MOST_POINTS = 1200;

/** What the page's charts draw of a run. Columns of a table have the same length; `null` where nothing is known. */
export interface RunSeries {
  name: string;
  /** Over the updates since the line before. */
  train: Record<"step" | "elapsed_ms" | "tokens" | (typeof TRAIN_COLUMNS)[number], (number | null)[]>;
  evaluation: Record<"step" | "elapsed_ms" | "tokens" | (typeof EVALUATION_COLUMNS)[number], (number | null)[]>;
  /** What guessing reaches, by panel. */
  guessing: { loss: number; accuracy: number; nsp_accuracy: number | undefined } | undefined;
  /** Where two recorded runs on natural text had been, scaled to this text. */
  reference: { step: number[]; elapsed_ms: number[]; tokens: number[]; low: number[]; high: number[] } | undefined;
}

const TRAIN_COLUMNS = ["loss", "accuracy", "nsp_accuracy", "learning_rate", "grad_norm", "tokens_per_second"] as const;
const EVALUATION_COLUMNS = ["loss", "accuracy", "low", "high", "nsp_accuracy"] as const;

/** The curves of a run. */
export function runSeries(run: RunRecord): RunSeries {
  const lines = thinned(run.train);
  const number = (value: unknown) => (typeof value === "number" && Number.isFinite(value) ? value : null);
  const column = (rows: readonly object[], name: string) =>
    rows.map((row) => number((row as Record<string, unknown>)[name]));
  const evaluations = run.evaluations.map((line) => ({
    ...line,
    tokens: interpolate(run.train, line.step, "tokens"),
    low: line.accuracy_interval[0],
    high: line.accuracy_interval[1],
  }));
  const columns = (rows: readonly object[], names: readonly string[]) =>
    Object.fromEntries(["step", "elapsed_ms", "tokens", ...names].map((name) => [name, column(rows, name)]));
  const start = lastStart(run);
  return {
    name: run.name,
    train: columns(lines, TRAIN_COLUMNS) as RunSeries["train"],
    evaluation: columns(evaluations, EVALUATION_COLUMNS) as RunSeries["evaluation"],
    guessing: start && { ...start.unigram, nsp_accuracy: start.nsp_majority },
    reference: reference(run),
  };
}

/** Why a run has no reference band, or `undefined` if it has one. */
export function whyNoReference(run: RunRecord): string | undefined {
  if (lastStart(run) === undefined) return "what guessing by frequency costs is not recorded";
  if (run.config?.data.files === "practice") return "the practice corpus is generated, and the recorded runs are not";
  const objective = objectiveOf(run);
  if (objective !== "mlm") return `its objective is ${objective}, and that of the recorded runs is mlm`;
  const band = referenceBand(1);
  if ((run.train.at(-1)?.step ?? 0) < band.step[0]) return `it has fewer than ${band.step[0]} updates`;
  return undefined;
}

function reference(run: RunRecord): RunSeries["reference"] {
  if (whyNoReference(run) !== undefined) return undefined;
  const { step, low, high } = referenceBand(lastStart(run)!.unigram.loss, run.train.at(-1)!.step);
  // The band is given over updates; on the other axes it stands where this run made those updates.
  return {
    step,
    elapsed_ms: step.map((at) => interpolate(run.train, at, "elapsed_ms")),
    tokens: step.map((at) => interpolate(run.train, at, "tokens")),
    low,
    high,
  };
}

/** A growing quantity at some update, between the lines of metrics around it. */
function interpolate(lines: RunRecord["train"], step: number, name: "tokens" | "elapsed_ms"): number {
  const after = lines.findIndex((line) => line.step >= step);
  if (after < 0) return lines.at(-1)?.[name] ?? 0;
  const [b, a] = [lines[after], lines[after - 1] ?? { step: 0, tokens: 0, elapsed_ms: 0 }];
  return a[name] + (b[name] - a[name]) * (step - a.step) / Math.max(1, b.step - a.step);
}

/** Neighbouring lines averaged, so that at most `MOST_POINTS` are left; the place of one is that of its last line. */
export function thinned<T extends object>(lines: readonly T[], most = MOST_POINTS): T[] {
  const per = Math.ceil(lines.length / most);
  if (per <= 1) return [...lines];
  const out: T[] = [];
  for (let from = 0; from < lines.length; from += per) {
    const group = lines.slice(from, from + per);
    const last = group[group.length - 1];
    const means = TRAIN_COLUMNS.filter((name) => name in last).map((name) => {
      const values = group.map((line) => (line as Record<string, number>)[name]);
      return [name, values.reduce((a, b) => a + b, 0) / values.length];
    });
    out.push({ ...last, ...Object.fromEntries(means) });
  }
  return out;
}
