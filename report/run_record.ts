/**
 * What a run has left in its folder, for reading: configuration and metrics. Lines and fields that are missing, as in runs
 * of other versions, are simply absent here. Called by the report command and by the pretrain command.
 */

import { ClozeError, messageOf } from "../config/cloze_error.ts";
import type { RunConfig } from "../config/run_config.ts";
import type { Blanks, Metric, RunStart, Warning } from "../training/metrics.ts";
import { readMetrics } from "../training/metrics.ts";

/** A line of metrics of one kind. */
type Of<K extends Metric["kind"]> = Extract<Metric, { kind: K }>;

/** A run, as far as it has come. */
export interface RunRecord {
  /** Last part of its path. */
  name: string;
  path: string;
  config: RunConfig | undefined;
  /** One for each time that it was started or resumed. */
  starts: RunStart[];
  train: Of<"train">[];
  evaluations: Of<"evaluation">[];
  blanks: Blanks[];
  warnings: Warning[];
  /** How it ended, unless it goes on or was killed. */
  end: Of<"end"> | undefined;
}

/** @throws {ClozeError} `input` if it is not the folder of a run, or holds no metrics yet. */
export async function readRun(path: string): Promise<RunRecord> {
  let config: RunConfig | undefined;
  try {
    config = JSON.parse(await Deno.readTextFile(`${path}/run.json`));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory)) {
      throw new ClozeError("input", `${path}/run.json cannot be read: ${messageOf(error)}`);
    }
  }
  const metrics = await readMetrics(`${path}/metrics.jsonl`);
  if (metrics.length === 0) {
    throw new ClozeError("input", `${path} is not the folder of a run: it has no metrics.jsonl with figures in it`, {
      hint: "give the --output of a pretrain run; its first figures come after the first update",
    });
  }
  return runRecord(path, config, metrics);
}

/** Sorts metrics by kind; leaves out lines without the numbers that their kind has to have. */
export function runRecord(path: string, config: RunConfig | undefined, metrics: readonly Metric[]): RunRecord {
  const of = <K extends Metric["kind"]>(kind: K, ...numbers: (keyof Of<K>)[]) =>
    metrics.filter((metric): metric is Of<K> =>
      metric.kind === kind && numbers.every((name) => Number.isFinite((metric as Of<K>)[name]))
    );
  const starts = of("start");
  const last = metrics.findLast(({ kind }) => kind === "start" || kind === "end" || kind === "train");
  return {
    name: path.replace(/[\\/]+$/, "").split(/[\\/]/).at(-1) || path,
    path,
    config,
    starts,
    train: of("train", "loss", "elapsed_ms", "tokens"),
    evaluations: of("evaluation", "loss", "accuracy", "elapsed_ms"),
    blanks: of("blanks").filter(({ lines }) => Array.isArray(lines)),
    warnings: of("warning").filter(({ message }) => typeof message === "string"),
    end: last?.kind === "end" ? last : undefined,
  };
}

/** The newest of the run's starts. */
export function lastStart(run: RunRecord): RunStart | undefined {
  return run.starts.at(-1);
}
