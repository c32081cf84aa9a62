/** What runs have recorded → a verdict in words, curves, one page that needs nothing else. */

export { type AnyRecord, readRecord } from "./any_record.ts";
export { classifierStage } from "./classifier_stage.ts";
export { type ClassifierRecord, readClassifier } from "./classifier_record.ts";
export { experimentText } from "./experiment_text.ts";
export type { ExperimentRecord, ToldClaim } from "./experiment_record.ts";
export { beforeAfter, changes } from "./before_after.ts";
export { readRun, type RunRecord } from "./run_record.ts";
export { lossChart, reportText } from "./report_text.ts";
export { nextStep, seenText, stageOf } from "./stage.ts";
export { type Finding, type Verdict, verdict } from "./verdict.ts";
export { writeReport } from "./write_report.ts";
