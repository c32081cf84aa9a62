/** How `cloze reproduce` tells what it found: a table of accuracies, each prediction with its interval, the verdict. */

import type { Claim } from "../../experiments/claims.ts";
import { estimate } from "../../experiments/statistics.ts";
import { type Finding, type Measured, overall } from "../../experiments/verdict.ts";
import { grouped, percent } from "../terminal.ts";

/** The report as Markdown, which reads well in a terminal and can be kept. */
export function claimReport(
  claim: Claim,
  steps: readonly number[],
  { accuracies, examples }: Measured,
  findings: readonly Finding[],
): string {
  const seeds = accuracies[claim.conditions[0].name][0].length;
  const rows = steps.map((step, at) => [
    grouped(step),
    ...claim.conditions.map(({ name }) => {
      const { mean, values } = estimate(accuracies[name][at]);
      return `${percent(mean)} (${percent(Math.min(...values))}–${percent(Math.max(...values))})`;
    }),
  ]);
  const lines = [
    `**Claim.** ${claim.text} (${claim.source})`,
    "",
    `**Measured.** ${claim.measure}. Means of ${seeds} seeds (least–most), on ${grouped(examples)} examples:`,
    "",
    ...table(["steps", ...claim.conditions.map(({ label }) => label)], rows),
    "",
    ...findings.map(({ expectation, difference, verdict }) => {
      const { mean, interval } = difference;
      return `- ${expectation.text}: difference ${points(mean)} points (95% interval ${points(interval[0])} to ` +
        `${points(interval[1])}): ${verdict}`;
    }),
    "",
    `**Verdict: ${overall(findings)}.**`,
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
