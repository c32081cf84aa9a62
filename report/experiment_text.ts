/** An experiment as text: a table of accuracies, each prediction with its interval, the verdict. */

import { grouped, percent } from "../config/numbers.ts";
import { estimate } from "../experiments/statistics.ts";
import type { ExperimentRecord } from "./experiment_record.ts";

/** The report as Markdown, which reads well in a terminal and can be kept. */
export function experimentText(record: ExperimentRecord): string {
  const { claim, steps, accuracies, untrained, examples, findings } = record;
  const cell = (accuracies: readonly number[]) => {
    const { mean, values } = estimate(accuracies);
    return `${percent(mean)} (${percent(Math.min(...values))}–${percent(Math.max(...values))})`;
  };
  const names = claim.conditions.map(({ name }) => name);
  const rows = [
    ["0 (random)", ...names.map((name) => cell(untrained[name]))],
    ...steps.map((step, at) => [grouped(step), ...names.map((name) => cell(accuracies[name][at]))]),
  ];
  const lines = [
    `**Claim.** ${claim.text} (${claim.source})`,
    "",
    `**Measured.** ${claim.measure}. Means of ${record.plan.seeds} seeds (least–most), on ${
      grouped(examples)
    } examples:`,
    "",
    ...table(["steps", ...claim.conditions.map(({ label }) => label)], rows),
    "",
    ...findings.map(({ expectation, difference, verdict }) => {
      const { mean, interval } = difference;
      return `- ${expectation.text}: difference ${points(mean)} points (95% interval ${points(interval[0])} to ` +
        `${points(interval[1])}): ${verdict}`;
    }),
    "",
    `**Verdict: ${record.verdict}.**`,
    "",
  ];
  return lines.join("\n");
}

function points(difference: number): string {
  return Number.isFinite(difference)
    ? `${difference < 0 ? "−" : "+"}${Math.abs(100 * difference).toFixed(1)}`
    : "unknown";
}

function table(head: string[], rows: string[][]): string[] {
  const widths = head.map((cell, i) => Math.max(cell.length, ...rows.map((row) => row[i].length)));
  const line = (cells: string[]) => `| ${cells.map((cell, i) => cell.padEnd(widths[i])).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)];
}
