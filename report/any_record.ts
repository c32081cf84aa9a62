/** The kinds of folders that a report can be about, and the page of each. */

import { ClozeError } from "../config/cloze_error.ts";
import { exists } from "../config/folder.ts";
import { classifiersPage } from "./classifier_page.ts";
import { type ClassifierRecord, readClassifier } from "./classifier_record.ts";
import { experimentPage } from "./experiment_page.ts";
import type { PageContent } from "./document.ts";
import { type ExperimentRecord, readExperiment } from "./experiment_record.ts";
import { runsPage } from "./page.ts";
import { readRun, type RunRecord } from "./run_record.ts";

/** A pretraining run, a fine-tuning, or an experiment. */
export type AnyRecord = RunRecord | ClassifierRecord | ExperimentRecord;

/** @throws {ClozeError} `input` if the folder is none of these, or holds too little yet. */
export async function readRecord(path: string): Promise<AnyRecord> {
  if (await exists(`${path}/finetune.json`)) return await readClassifier(path);
  if (await exists(`${path}/result.json`)) return await readExperiment(path);
  if (await exists(`${path}/plan.json`)) {
    throw new ClozeError("input", `${path} is an experiment that has measured nothing yet`, {
      hint: "its first accuracy comes after its first pretraining run",
    });
  }
  return await readRun(path);
}

/**
 * The page of one record, or of several of a kind.
 *
 * @throws {ClozeError} `usage` if they are of different kinds, or are several experiments.
 */
export function pageOf(records: readonly AnyRecord[]): PageContent {
  const of = <K extends AnyRecord["kind"]>(kind: K) =>
    records.filter((record): record is Extract<AnyRecord, { kind: K }> => record.kind === kind);
  if (of("run").length === records.length) return runsPage(of("run"));
  if (of("classifier").length === records.length) return classifiersPage(of("classifier"));
  const [experiment] = of("experiment");
  if (experiment !== undefined && records.length === 1) return experimentPage(experiment);
  throw new ClozeError("usage", "these cannot be shown side by side", {
    hint: "give pretraining runs, or fine-tuned classifiers, or one experiment",
  });
}
