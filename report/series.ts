/** Metrics as columns that a chart can draw, thinned where there are more points than pixels. */

import { RECORDED_OBJECTIVE, referenceBand } from "./reference_band.ts";
import { guessing, lastStart, objectiveOf, type RunRecord } from "./run_record.ts";

/** Points that a curve keeps; about as many as it has pixels. */
const MOST_POINTS = 1200;

/** Columns of the same length, by name; `null` where nothing is known. */
type Columns = Record<string, (number | null)[]>;

/** What the page's charts draw of a run, or of a condition of an experiment. */
export interface Series {
  name: string;
  /** Over the updates since the line before: `step`, `elapsed_ms`, `tokens`, and a column for each panel. */
  train: Columns;
  /** The same at each evaluation; with the ends of an interval where a panel has one: `accuracy_low`, `accuracy_high`. */
  evaluation: Columns;
  /** What guessing reaches, by panel. */
  guessing: Record<string, number | undefined> | undefined;
  /** Where two recorded runs on natural text had been, scaled to this text. */
  reference?: { step: number[]; elapsed_ms: number[]; tokens: number[]; low: number[]; high: number[] } | undefined;
  /** Single values behind the mean that `evaluation` holds. */
  dots?: { step: number[]; accuracy: number[]; loss?: number[] }[];
}

const TRAIN_COLUMNS = [
  "loss",
  "accuracy",
  "nsp_accuracy",
  "pearson",
  "learning_rate",
  "grad_norm",
  "tokens_per_second",
] as const;
const EVALUATION_COLUMNS = ["loss", "accuracy", "nsp_accuracy", "pearson"];

/** The curves of a pretraining run. */
export function runSeries(run: RunRecord): Series {
  const start = lastStart(run);
  return {
    ...trainingSeries(run),
    guessing: start && { ...guessing(run), nsp_accuracy: start.nsp_majority },
    reference: reference(run),
  };
}

/** The curves of whatever was trained and evaluated. An evaluation's intervals are `accuracy_interval` and the like. */
export function trainingSeries(
  run: { name: string; train: RunRecord["train"]; evaluations: readonly { step: number }[] },
): Pick<Series, "name" | "train" | "evaluation"> {
  const evaluations = run.evaluations.map((line) => ({
    ...line,
    tokens: interpolate(run.train, line.step, "tokens"),
    ...Object.fromEntries(
      Object.entries(line).flatMap(([name, value]) =>
        name.endsWith("_interval") && Array.isArray(value)
          ? [[name.replace("_interval", "_low"), value[0]], [name.replace("_interval", "_high"), value[1]]]
          : []
      ),
    ),
  }));
  const ends = EVALUATION_COLUMNS.flatMap((name) => [name, `${name}_low`, `${name}_high`]);
  return {
    name: run.name,
    train: columns(thinned(whole(run.train)), TRAIN_COLUMNS),
    evaluation: columns(evaluations, ends),
  };
}

function columns(rows: readonly object[], names: readonly string[]): Columns {
  const number = (value: unknown) => (typeof value === "number" && Number.isFinite(value) ? value : null);
  return Object.fromEntries(
    ["step", "elapsed_ms", "tokens", ...names].map((name) => [
      name,
      rows.map((row) => number((row as Record<string, unknown>)[name])),
    ]),
  );
}

/** Why a run has no reference band, or `undefined` if it has one. */
export function whyNoReference(run: RunRecord): string | undefined {
  if (lastStart(run) === undefined) return "what guessing by frequency costs is not recorded";
  if (guessing(run) === undefined) return "nothing is measured on held-out text";
  if (run.config?.data.files === "practice") return "the practice corpus is generated, and the recorded runs are not";
  const objective = objectiveOf(run);
  if (objective !== RECORDED_OBJECTIVE) {
    return `its objective is ${objective}, and that of the recorded runs is ${RECORDED_OBJECTIVE}`;
  }
  const band = referenceBand(1);
  if ((run.train.at(-1)?.step ?? 0) < band.step[0]) return `it has fewer than ${band.step[0]} updates`;
  return undefined;
}

function reference(run: RunRecord): Series["reference"] {
  if (whyNoReference(run) !== undefined) return undefined;
  const { step, low, high } = referenceBand(guessing(run)!.loss, run.train.at(-1)!.step);
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

/**
 * The lines with each that is of far fewer updates than most put to the one before it: a mean over two updates, at the end of
 * a run, stands out and says nothing.
 */
export function whole<T extends { step: number }>(lines: readonly T[]): T[] {
  const spans = lines.map(({ step }, i) => step - (lines[i - 1]?.step ?? 0));
  const usual = spans.toSorted((a, b) => a - b)[spans.length >> 1];
  const out: T[] = [];
  let span = 0;
  lines.forEach((line, i) => {
    const before = out.at(-1);
    if (before === undefined || spans[i] > usual / 4) {
      out.push(line);
      span = spans[i];
      return;
    }
    const means = TRAIN_COLUMNS.filter((name) => name in line && name in before).map((name) => {
      const [a, b] = [before, line].map((of) => (of as Record<string, unknown>)[name] as number);
      return [name, (span * a + spans[i] * b) / (span + spans[i])];
    });
    out[out.length - 1] = { ...line, ...Object.fromEntries(means) };
    span += spans[i];
  });
  return out;
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
