/** An experiment as text: a table of what was measured, each prediction with its interval, where curves cross, the verdict. */

import { grouped, percent } from "../config/numbers.ts";
import { crossingOf } from "../experiments/crossing.ts";
import { type Estimate, estimate } from "../experiments/statistics.ts";
import type { Expectation } from "../experiments/verdict.ts";
import type { ExperimentRecord } from "./experiment_record.ts";

/**
 * The report for a terminal of some width or, without one, as Markdown, which can be kept.
 *
 * @param columns of the terminal
 */
export function experimentText(record: ExperimentRecord, columns?: number): string {
  const { claim, findings, verdict } = record;
  const isMarkdown = columns === undefined;
  const strong = (text: string) => (isMarkdown ? `**${text}**` : text);
  const paragraph = (text: string) => (isMarkdown ? [text] : wrapped(text, columns));
  const lines = [
    ...paragraph(`${strong("Claim.")} ${claim.text} (${claim.source})`),
    "",
    ...paragraph(
      `${strong("Measured.")} ${sentence(claim.measure)} Means of ${record.plan.seeds} seeds (least–most), on ` +
        `${grouped(record.examples)} ${record.losses === undefined ? "examples" : "blanks"}:`,
    ),
    "",
    ...fitting(record, columns),
    "",
    ...findings.flatMap(({ expectation, difference, verdict }) =>
      item(`${expectation.text}: ${differenceText(difference, expectation)}: ${verdict}`, columns)
    ),
    ...crossings(record).flatMap((text) => item(text, columns)),
    "",
    strong(verdict === undefined ? "Not everything has been measured yet." : `Verdict: ${verdict}.`),
    "",
  ];
  return lines.join("\n");
}

/** A difference with its interval; one that rounds to 0 is none. */
export function differenceText({ mean, interval }: Estimate, { in: compared }: Pick<Expectation, "in">): string {
  const [unit, digits, scale] = compared === "loss" ? ["nats", 3, 1] as const : ["points", 1, 100] as const;
  const number = (value: number) => {
    if (!Number.isFinite(value)) return "unknown";
    const text = Math.abs(scale * value).toFixed(digits);
    return Number(text) === 0 ? text : `${value < 0 ? "−" : "+"}${text}`;
  };
  const [low, high] = interval.map(number);
  const found = Number(number(mean)) === 0 ? "no difference" : `difference ${number(mean)} ${unit}`;
  return `${found} (95% interval ${low} to ${high})`;
}

/** Where the curves of blanks cross, by loss and by accuracy; nothing before all is measured. */
export function crossings(record: ExperimentRecord): string[] {
  const { claim, verdict, losses, steps } = record;
  const last = claim.expectations.find(({ at }) => at === "last");
  if (losses === undefined || verdict === undefined || last === undefined) return [];
  const labelOf = (name: string) => claim.conditions.find((condition) => condition.name === name)!.label;
  const [better, than] = [labelOf(last.better), labelOf(last.than)];
  return (["loss", undefined] as const).map((compared) => {
    const { behind, ahead, surely } = crossingOf(
      { better: last.better, than: last.than, ...(compared === undefined ? {} : { in: compared }) },
      record,
      steps,
    );
    const by = compared ?? "accuracy";
    const sure = surely === undefined
      ? "at no checkpoint up to the end does the interval of the difference lie on that side for good"
      : `from ${grouped(surely)} on the whole interval of the difference lies on that side`;
    if (ahead === undefined) return `by ${by}, ${better} has not overtaken ${than} by update ${grouped(steps.at(-1)!)}`;
    return behind === undefined
      ? `by ${by}, ${better} is ahead of ${than} from the first checkpoint on; ${sure}`
      : `by ${by}, ${better} overtakes ${than} for good between updates ${grouped(behind)} and ${
        grouped(ahead)
      }; ${sure}`;
  });
}

/** The table, without the least and the most where that is what makes it wider than a terminal. */
function fitting(record: ExperimentRecord, columns: number | undefined): string[] {
  const whole = table(record, columns === undefined, true);
  return whole.some((line) => line.length > (columns ?? Infinity)) ? table(record, false, false) : whole;
}

/**
 * Accuracies by checkpoint and condition, and of blanks the losses; the last row is what guesses get.
 *
 * @param ranged with the least and the most behind each mean
 */
function table(record: ExperimentRecord, isMarkdown: boolean, ranged: boolean): string[] {
  const { claim, steps, accuracies, untrained, losses, commonest, guessing_loss } = record;
  const cell = (values: readonly number[] | undefined, format: (value: number) => string) => {
    if (values === undefined || values.length === 0) return "–";
    const { mean } = estimate(values);
    return ranged ? `${format(mean)} (${format(Math.min(...values))}–${format(Math.max(...values))})` : format(mean);
  };
  const nats = (value: number) => value.toFixed(3);
  const names = claim.conditions.map(({ name }) => name);
  const row = (label: string, of: (name: string) => { accuracy?: readonly number[]; loss?: readonly number[] }) => [
    label,
    ...names.flatMap((name) => {
      const { accuracy, loss } = of(name);
      return [...(losses === undefined ? [] : [cell(loss, nats)]), cell(accuracy, percent)];
    }),
  ];
  const isUntrained = Object.values(untrained).some(({ length }) => length > 0);
  const rows = [
    ...(isUntrained ? [row("0 (random)", (name) => ({ accuracy: untrained[name] }))] : []),
    ...steps.map((step, at) =>
      row(grouped(step), (name) => ({
        accuracy: accuracies[name][at],
        loss: losses?.[name][at].map(({ mean }) => mean) ?? [],
      }))
    ),
  ];
  if (commonest !== undefined) {
    const guess = losses === undefined ? [percent(commonest)] : [nats(guessing_loss ?? NaN), percent(commonest)];
    rows.push([losses === undefined ? "commonest class" : "by frequency", ...names.flatMap(() => guess)]);
  }
  const labels = claim.conditions.flatMap(({ label }) => losses === undefined ? [label] : [`${label}: loss`, "right"]);
  return aligned(["steps", ...labels], rows, isMarkdown);
}

function aligned(head: string[], rows: string[][], isMarkdown: boolean): string[] {
  const widths = head.map((cell, i) => Math.max(cell.length, ...rows.map((row) => row[i].length)));
  const padded = (cells: string[]) => cells.map((cell, i) => cell.padEnd(widths[i]));
  if (!isMarkdown) return [head, ...rows].map((cells) => padded(cells).join("  ").trimEnd());
  const line = (cells: string[]) => `| ${padded(cells).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)];
}

/** A line of a list. */
function item(text: string, columns: number | undefined): string[] {
  if (columns === undefined) return [`- ${text}`];
  return wrapped(text, columns - 2).map((line, i) => `${i === 0 ? "- " : "  "}${line}`);
}

function wrapped(text: string, columns: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length < columns) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

const sentence = (text: string) => `${text[0].toUpperCase()}${text.slice(1)}.`;
