/** A run's metrics → a verdict in words, curves, one page that needs nothing else. */

export { readRun, type RunRecord } from "./run_record.ts";
export { lossChart, reportText } from "./report_text.ts";
export { type Finding, type Verdict, verdict } from "./verdict.ts";
export { writeReport } from "./write_report.ts";
