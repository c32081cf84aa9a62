/** An experiment as standard output takes it: lines of a terminal, or Markdown for a file. Used by reproduce and report. */

import { type ExperimentRecord, experimentText } from "../report/mod.ts";
import { terminalSize } from "./terminal.ts";

/** The text. */
export function shownExperiment(record: ExperimentRecord): string {
  return Deno.stdout.isTerminal() ? experimentText(record, terminalSize().columns) : experimentText(record);
}
