/** The loss of what is being trained, drawn above the line of progress. Called by the commands that train. */

import { lossChart } from "../report/mod.ts";
import { terminalSize } from "./terminal.ts";

/** Its largest size, in characters; beside it the terminal keeps some lines for what is said. */
const CHART = { columns: 100, lines: 10, spare: 6 };

/** The lines of the chart for this terminal; none where it is too small. */
export function liveChart(run: Parameters<typeof lossChart>[0], guessing: number | undefined): string[] {
  const { columns, rows } = terminalSize();
  const lines = Math.min(CHART.lines, rows - CHART.spare);
  return lines < 3 ? [] : lossChart(run, guessing, Math.min(CHART.columns, columns - 1), lines);
}
