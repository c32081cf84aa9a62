/** A run's report as plain text: the verdict and the loss curve. Called by the report command, and while a run goes. */

import { quoted } from "../config/called.ts";
import { counted } from "../config/numbers.ts";
import { lineChart } from "./line_chart.ts";
import type { ClassifierRecord } from "./classifier_record.ts";
import { classifierVerdict, guessingLoss } from "./classifier_verdict.ts";
import { guessing, type RunRecord } from "./run_record.ts";
import { nextStep } from "./stage.ts";
import { thinned, whole } from "./series.ts";
import { verdict } from "./verdict.ts";

/** The text, for a terminal of so many columns. */
export function reportText(run: RunRecord | ClassifierRecord, columns: number): string {
  const { headline, findings } = run.kind === "run" ? verdict(run) : classifierVerdict(run);
  const next = run.kind === "run" ? nextStep(run, quoted(run.path)) : undefined;
  const marks = { good: "+", bad: "!", neutral: "-" };
  return [
    ...wrapped(`${run.name}: ${headline}`, columns, "", ""),
    "",
    ...findings.flatMap(({ tone, text, hint }) => [
      ...wrapped(text, columns, `${marks[tone]} `, "  "),
      ...(hint === undefined ? [] : wrapped(`${hint}.`, columns, "  ", "  ")),
    ]),
    "",
    ...lossChart(run, guessedLoss(run), columns, 12),
    ...(next === undefined ? [] : ["", ...wrapped(`Next: ${next.text}`, columns, "", ""), `  ${next.command}`]),
  ].join("\n") + "\n";
}

/** What guessing by frequency costs. */
function guessedLoss(run: RunRecord | ClassifierRecord): number | undefined {
  if (run.kind === "run") return guessing(run)?.loss;
  const last = run.evaluations.at(-1);
  return last && guessingLoss(last);
}

/** Training loss as a line, held-out loss as marks, guessing by frequency as a dashed line, over updates. */
export function lossChart(
  run: { train: RunRecord["train"]; evaluations: readonly { step: number; loss: number }[] },
  level: number | undefined,
  columns: number,
  height: number,
): string[] {
  const train = thinned(whole(run.train), 2 * columns);
  const chart = lineChart(
    [
      { x: train.map(({ step }) => step), y: train.map(({ loss }) => loss) },
      { x: run.evaluations.map(({ step }) => step), y: run.evaluations.map(({ loss }) => loss), mark: "o" },
    ],
    { width: columns, height, level, format: (y) => y.toFixed(2) },
  );
  if (chart.length === 0) return [];
  const end = run.train.at(-1)?.step ?? 0;
  const legend = `loss over ${counted(end, "update")}: ⠒⠒ training` +
    (run.evaluations.length > 0 ? ", o held-out" : "") + (level === undefined ? "" : ", ⠂ ⠂ guessing by frequency");
  return [...chart, legend.slice(0, columns)];
}

function wrapped(text: string, columns: number, first: string, rest: string): string[] {
  const lines: string[] = [];
  let line = first;
  for (const word of text.split(" ")) {
    const isBare = line === first || line === rest;
    if (!isBare && line.length + word.length >= columns) {
      lines.push(line.trimEnd());
      line = rest;
    }
    line += `${word} `;
  }
  return [...lines, line.trimEnd()];
}
