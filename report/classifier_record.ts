/** What a fine-tuning has left in its folder, for reading. Called by the report command and by the finetune command. */

import { ClozeError } from "../config/cloze_error.ts";
import type { FinetuneRun } from "../config/finetune_run.ts";
import { readSealed } from "../config/sealed_json.ts";
import type { Metric, Mistakes } from "../config/metric.ts";
import type { Stage } from "./stage.ts";
import { conforms, nameOf, readAllMetrics, type RunRecord } from "./run_record.ts";

/** An evaluation of the classifier. */
export type Classification = Extract<Metric, { kind: "classification" }>;

/** An evaluation of a model that predicts values. */
export type Regression = Extract<Metric, { kind: "regression" }>;

/** A fine-tuning, as far as it has come. */
export interface ClassifierRecord {
  kind: "classifier";
  /** Last part of its path. */
  name: string;
  path: string;
  run: FinetuneRun;
  train: RunRecord["train"];
  /** On the validation file, one after each epoch. */
  evaluations: Classification[];
  /** On the training file, at the end. */
  onTraining: Classification | undefined;
  /** The same of a model that predicts values; the two above are empty then. */
  regressions: Regression[];
  regressionOnTraining: Regression | undefined;
  /** At the end; none in older fine-tunings, and none where nothing is wrong. */
  mistakes: Mistakes | undefined;
  end: RunRecord["end"];
  /** What of its metrics could not be read, in sentences. */
  damages: string[];
}

/** A judgement on a fine-tuning that ran to its end. */
export interface ClassifierStage {
  stage: Exclude<Stage, "barely begun" | "getting worse">;
  /** A clause. */
  why: string;
  /** Of a next run, where another number promises more. */
  epochs?: number;
}

const FILE = { path: "", sha256: "", texts: 0, cut_off: 0 };
const EXAMPLE = {
  command: "",
  folder: "",
  versions: { cloze: "", deno: "", platform: "" },
  engine: { dtype: "", instruction_set: "", threads: 0, parameter_count: 0 },
  model: "",
  from_scratch: true,
  labels: [""],
  train: FILE,
  valid: FILE,
  finetuning: { probe: true, epochs: 0, batch_size: 0, learning_rate: 0, max_sequence_length: 0 },
};
const EVALUATION = {
  step: 0,
  elapsed_ms: 0,
  loss: 0,
  accuracy: 0,
  accuracy_interval: [0],
  macro_f1: 0,
  macro_f1_interval: [0],
  majority: 0,
  count: 0,
};

const BY_LABEL = { micro_f1: 0, by_label: [{ there: 0, said: 0, right: 0 }] };

const MISTAKES = { step: 0, lines: [{ text: "", is: "", answered: "" }] };

/** @throws {ClozeError} `input` if it is not the folder of a fine-tuning, or one of a version that recorded less. */
export async function readClassifier(path: string): Promise<ClassifierRecord> {
  const { value: run } = await readSealed(`${path}/finetune.json`);
  const { metrics, damages } = await readAllMetrics(path);
  if (!conforms(run, EXAMPLE)) {
    throw new ClozeError("input", `${path} was fine-tuned by a version that recorded less than a report needs`, {
      hint: `its figures are in ${path}/metrics.jsonl`,
    });
  }
  return { ...classifierRecord(path, run as unknown as FinetuneRun, metrics), damages };
}

/** Sorts metrics by kind, without lines that lack what the report cannot do without. */
export function classifierRecord(path: string, run: FinetuneRun, metrics: readonly Metric[]): ClassifierRecord {
  const classes = run.labels.length;
  const evaluations = metrics.filter((metric): metric is Classification =>
    metric.kind === "classification" && conforms(metric, EVALUATION) && (
      run.problem_type === "multi_label_classification"
        ? conforms(metric, BY_LABEL) && metric.by_label!.length === classes
        : metric.confusion.length === classes && metric.confusion.every((row) => row.length === classes)
    )
  );
  const regressions = metrics.filter((metric): metric is Regression =>
    metric.kind === "regression" && conforms(metric, { step: 0, elapsed_ms: 0, mse: 0, variance: 0, count: 0 }) &&
    (classes === 1 || (conforms(metric.by_value, [{ mse: 0, variance: 0 }]) && metric.by_value!.length === classes))
  );
  const last = metrics.at(-1);
  return {
    kind: "classifier",
    name: nameOf(path),
    path,
    run,
    train: metrics.filter((metric): metric is RunRecord["train"][number] =>
      metric.kind === "train" && conforms(metric, { step: 0, elapsed_ms: 0, tokens: 0, loss: 0 })
    ),
    evaluations: evaluations.filter(({ split }) => split === "valid"),
    onTraining: evaluations.findLast(({ split }) => split === "train"),
    regressions: regressions.filter(({ split }) => split === "valid"),
    regressionOnTraining: regressions.findLast(({ split }) => split === "train"),
    mistakes: metrics.findLast((metric): metric is Mistakes =>
      metric.kind === "mistakes" && conforms(metric, MISTAKES)
    ),
    end: last?.kind === "end" && conforms(last, { step: 0, elapsed_ms: 0, interrupted: false }) ? last : undefined,
    damages: [],
  };
}
