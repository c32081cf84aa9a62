/** What a fine-tuning has left in its folder, for reading. Called by the report command and by the finetune command. */

import { ClozeError } from "../config/cloze_error.ts";
import type { FinetuneRun } from "../config/finetune_run.ts";
import { readSealed } from "../config/sealed_json.ts";
import type { Metric, Mistakes } from "../config/metric.ts";
import { conforms, nameOf, readAllMetrics, type RunRecord } from "./run_record.ts";

/** An evaluation of the classifier. */
export type Classification = Extract<Metric, { kind: "classification" }>;

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
  /** At the end; none in older fine-tunings, and none where nothing is wrong. */
  mistakes: Mistakes | undefined;
  end: RunRecord["end"];
  /** What of its metrics could not be read, in sentences. */
  damages: string[];
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
  confusion: [[0]],
};

const MISTAKES = { step: 0, lines: [{ text: "", is: "", answered: "", probability: 0 }] };

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
    metric.kind === "classification" && conforms(metric, EVALUATION) && metric.confusion.length === classes &&
    metric.confusion.every((row) => row.length === classes)
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
    mistakes: metrics.findLast((metric): metric is Mistakes =>
      metric.kind === "mistakes" && conforms(metric, MISTAKES)
    ),
    end: last?.kind === "end" && conforms(last, { step: 0, elapsed_ms: 0, interrupted: false }) ? last : undefined,
    damages: [],
  };
}
