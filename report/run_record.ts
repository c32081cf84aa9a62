/**
 * What a run has left in its folder, for reading: configuration and metrics. Lines and fields that are missing, as in runs
 * of other versions, are simply absent here. Called by the report command and by the pretrain command.
 */

import { ClozeError } from "../config/cloze_error.ts";
import type { RunConfig } from "../config/run_config.ts";
import { readSealed } from "../config/sealed_json.ts";
import type { PretrainingTask } from "../tasks/pretraining_task.ts";
import { DEFAULT_OBJECTIVE, findTask, pretrainingTask } from "../tasks/registry.ts";
import { exists } from "../config/folder.ts";
import type { Blanks, Metric, RunStart, Warning } from "../config/metric.ts";
import { newestState } from "../run/checkpoint_folder.ts";
import { type MetricsRead, readMetricsFile } from "../run/metrics_file.ts";

/** A line of metrics of one kind. */
type Of<K extends Metric["kind"]> = Extract<Metric, { kind: K }>;

/** A run, as far as it has come. */
export interface RunRecord {
  kind: "run";
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
  /** What of its metrics could not be read, in sentences. */
  damages: string[];
  /** How it ended, unless it goes on or was killed. */
  end: Of<"end"> | undefined;
}

/** @throws {ClozeError} `input` if it is not the folder of a run, or holds no metrics yet. */
export async function readRun(path: string): Promise<RunRecord> {
  const record = `${path}/run.json`;
  const config = await exists(record) ? (await readSealed(record)).value : undefined;
  const { metrics, damages } = await readAllMetrics(path);
  if (metrics.length === 0) {
    throw new ClozeError("input", `${path} is not the folder of a run: it has no metrics.jsonl with figures in it`, {
      hint: "give the --output of a pretrain run; its first figures come after the first update",
    });
  }
  if (config === undefined) {
    if (metrics.some(({ kind }) => kind === "classification")) {
      throw new ClozeError("input", `${path} has the figures of a fine-tuning, but no finetune.json`, {
        hint: "copy that file again, too",
      });
    }
    damages.push("run.json is not there: settings are not known");
  }
  return { ...runRecord(path, config, metrics), damages };
}

/** The metrics in a folder, and what is wrong with them, also next to what its newest checkpoint knows. */
export async function readAllMetrics(folder: string): Promise<MetricsRead> {
  const read = await readMetricsFile(`${folder}/metrics.jsonl`);
  const saved = await newestState(folder);
  const { step } = read.metrics.at(-1) ?? saved ?? { step: 0 };
  if (saved !== undefined && (read.count < (saved.lines ?? 0) || step < saved.step)) {
    read.damages.push(`lines of metrics.jsonl are missing: the checkpoint of step ${saved.step} knows of more`);
  }
  const hasModel = saved !== undefined || await exists(`${folder}/model.safetensors`);
  if (hasModel && read.count === 0 && read.damages.length === 0) {
    read.damages.push("metrics.jsonl is empty or not there");
  }
  return read;
}

/** Fields that the report cannot do without, by kind: a value of the right type in each place. */
const TEXT = {
  tokens: 0,
  sentences: 0,
  documents: 0,
  sha256: "",
  fertility: null,
  unknown_share: null,
  vocabulary_used: 0,
};
const NEEDED = {
  start: {
    step: 0,
    time: "",
    command: "",
    folder: "",
    versions: { cloze: "", deno: "", platform: "" },
    engine: { engine: "", instruction_set: "", threads: 0, parameter_count: 0 },
    tokenizer: { size: 0, lowercase: false, sha256: "" },
    train: { ...TEXT, most_frequent: [{ token: "", share: 0 }] },
    held_out: TEXT,
    masking: { sequences: 0, tokens: 0, masked: 0, mask_share: null, random_share: null, kept_share: null },
    unigram: { entropy: null, loss: null, accuracy: null },
  },
  train: { step: 0, elapsed_ms: 0, tokens: 0, loss: 0 },
  evaluation: { step: 0, elapsed_ms: 0, loss: 0, accuracy: 0, accuracy_interval: [0], top5_accuracy: 0, masked: 0 },
  blanks: { step: 0, lines: [{ text: "", predictions: [{ token: "", probability: 0 }] }] },
  warning: { step: 0, rule: "", message: "", hint: "" },
  end: { step: 0, elapsed_ms: 0, interrupted: false },
};

/** Sorts metrics by kind. Leaves out lines, and a configuration, that lack what the report cannot do without. */
export function runRecord(path: string, config: unknown, metrics: readonly Metric[]): RunRecord {
  const sound = metrics.filter((metric) =>
    Object.hasOwn(NEEDED, metric.kind) && conforms(metric, NEEDED[metric.kind as keyof typeof NEEDED])
  );
  const of = <K extends Metric["kind"]>(kind: K) => sound.filter((metric): metric is Of<K> => metric.kind === kind);
  const last = sound.findLast(({ kind }) => kind === "start" || kind === "end" || kind === "train");
  return {
    kind: "run",
    name: nameOf(path),
    path,
    config: conforms(config, { model: {}, training: { extent: {} }, data: {} }) ? config as RunConfig : undefined,
    starts: of("start"),
    train: of("train"),
    evaluations: of("evaluation").filter(({ accuracy_interval, masked }) => accuracy_interval.length === 2 && masked > 0 // of nothing, older versions recorded figures
    ),
    blanks: of("blanks"),
    warnings: of("warning"),
    damages: [],
    end: last?.kind === "end" ? last : undefined,
  };
}

/** The last part of a path. */
export function nameOf(path: string): string {
  return path.replace(/[\\/]+$/, "").split(/[\\/]/).at(-1) || path;
}

/**
 * Whether a value has everything that the example has, of the same types: all elements of an array like the first. `null`
 * is an example of a figure that may be missing.
 */
export function conforms(value: unknown, example: unknown): boolean {
  if (Array.isArray(example)) return Array.isArray(value) && value.every((element) => conforms(element, example[0]));
  if (example === null) return value === null || Number.isFinite(value);
  if (typeof example === "number") return Number.isFinite(value);
  if (typeof example !== "object") return typeof value === typeof example;
  return typeof value === "object" && value !== null &&
    Object.entries(example).every(([name, part]) => conforms((value as Record<string, unknown>)[name], part));
}

/** The newest of the run's starts. */
export function lastStart(run: RunRecord): RunStart | undefined {
  return run.starts.at(-1);
}

/** What it was trained for, by name: the default unless its configuration says otherwise. */
export function objectiveOf(run: RunRecord): string {
  const { objective } = (run.config?.training ?? {}) as { objective?: unknown };
  return typeof objective === "string" ? objective : DEFAULT_OBJECTIVE;
}

/** Its task; one that this version does not know counts as the default one. */
export function taskOf(run: RunRecord): PretrainingTask {
  return findTask(objectiveOf(run)) ?? pretrainingTask(DEFAULT_OBJECTIVE);
}

/** What guessing by frequency gets on the held-out tokens, where that is recorded and there are any. */
export function guessing(run: RunRecord): { loss: number; accuracy: number } | undefined {
  const { loss, accuracy } = lastStart(run)?.unigram ?? {};
  return typeof loss === "number" && typeof accuracy === "number" ? { loss, accuracy } : undefined;
}

/** Whether nothing can be measured, because no held-out token is predicted. */
export function isUnmeasured(run: RunRecord): boolean {
  return lastStart(run)?.masking.masked === 0 && run.evaluations.length === 0;
}
