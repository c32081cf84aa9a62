/**
 * The report of an experiment of `cloze reproduce`: claim, verdict, accuracy over pretraining steps by condition, and every
 * command. Reads no file. Called by any_record.ts.
 */

import { grouped, percent } from "../config/numbers.ts";
import { estimate } from "../experiments/statistics.ts";
import {
  chartsSection,
  type Column,
  dataTable,
  factsTable,
  findingsList,
  type PageContent,
  swatch,
} from "./document.ts";
import type { ExperimentRecord } from "./experiment_record.ts";
import { type Content, type Html, html } from "./html.ts";
import type { Series } from "./series.ts";

/** A condition's accuracies at a point of pretraining, one a seed. */
type Point = { step: number; accuracies: readonly number[] };

/** The page. */
export function experimentPage(record: ExperimentRecord): PageContent {
  const words = { trained: "", measured: "mean", guessing: {} };
  const body = html`${verdictSection(record)}
${
    chartsSection({
      panels: [["accuracy", "Accuracy on the labeled texts, over pretraining updates"]],
      summary: () => summary(record),
      stepsOnly: true,
      zoomed: true,
      after:
        html`<p class="note">Lines are means of the seeds, dots single seeds, shades the 95% interval of each mean by
Student's t. ${
          record.plan.seeds < 5 ? "With few seeds these are wide. " : ""
        }The verdict does not compare shades: it rests on
the differences between conditions with the same seed. At update 0 stands the same measure without any pretraining.</p>
${accuracyTable(record)}`,
    })
  }
${settingsSection(record)}`;
  const footnote = "Accuracies are shares of the validation file.";
  return { title: record.experiment, body, footnote, curves: { runs: conditionSeries(record), words } };
}

/** The curve of each condition. */
function conditionSeries(record: ExperimentRecord): Series[] {
  const { claim, plan } = record;
  return claim.conditions.map(({ name, label }) => {
    const points = pointsOf(record, name);
    const estimates = points.map(({ accuracies }) => estimate(accuracies));
    // An interval that is not known, as that of a single seed, is not drawn; nor is what no accuracy can be.
    const end = (i: 0 | 1) =>
      estimates.map(({ interval }) => Number.isFinite(interval[i]) ? Math.min(1, Math.max(0, interval[i])) : null);
    return {
      name: label,
      train: { step: [] },
      evaluation: {
        step: points.map(({ step }) => step),
        accuracy: estimates.map(({ mean }) => mean),
        accuracy_low: end(0),
        accuracy_high: end(1),
      },
      guessing: undefined,
      dots: Array.from({ length: plan.seeds }, (_, seed) => {
        const measured = points.filter(({ accuracies }) => accuracies.length > seed);
        return {
          step: measured.map(({ step }) => step),
          accuracy: measured.map(({ accuracies }) => accuracies[seed]),
        };
      }),
    };
  });
}

/** What has been measured of a condition, from no pretraining up. */
function pointsOf({ steps, accuracies, untrained }: ExperimentRecord, condition: string): Point[] {
  return [
    { step: 0, accuracies: untrained[condition] ?? [] },
    ...steps.map((step, at) => ({ step, accuracies: accuracies[condition]?.[at] ?? [] })),
  ].filter(({ accuracies }) => accuracies.length > 0);
}

function verdictSection(record: ExperimentRecord): Html {
  const { claim, verdict, findings, examples, plan } = record;
  const tone = verdict === "supported" ? "good" : verdict === "not supported" ? "bad" : "neutral";
  return html`
    <section class="${tone}">
      <h1>${verdict === undefined ? "The experiment has not ended" : `Verdict: ${verdict}`}</h1>
      <p>${claim.text} <span class="note">${claim.source}</span></p>
      <p class="note">${sentence(claim.measure)} ${plan.seeds} seeds of each condition, ${grouped(
        examples,
      )} examples. Supported means that the 95% interval of the difference lies on the side that is claimed, not supported
      that it lies on the other.</p>
      ${findingsList(findings.map(({ expectation, difference, verdict }) => ({
        tone: verdict === "supported" ? "good" : verdict === "not supported" ? "bad" : "neutral",
        text: `${sentence(expectation.text)} Difference ${points(difference.mean)} points (95% interval ${
          points(difference.interval[0])
        } to ${points(difference.interval[1])}): ${verdict}.`,
      })))}
    </section>
  `;
}

function accuracyTable(record: ExperimentRecord): Html {
  const { claim, steps } = record;
  const columns = claim.conditions.map(({ label }): Column => [label, "text"]);
  const rows = [0, ...steps].map((step): [Content, ...Content[]] => [
    step === 0 ? "0 (random)" : grouped(step),
    ...claim.conditions.map(({ name }) => {
      const point = pointsOf(record, name).find((point) => point.step === step);
      return point === undefined ? "–" : cell(point.accuracies);
    }),
  ]);
  return dataTable("updates", columns, rows);
}

/** Mean, and the seeds that it is of. */
function cell(accuracies: readonly number[]): Html {
  return html`${percent(estimate(accuracies).mean)} <span class="note">${accuracies.map(percent).join(", ")}</span>`;
}

function summary(record: ExperimentRecord): string {
  return record.claim.conditions.map(({ name, label }) => {
    const points = pointsOf(record, name);
    const told = points.map(({ step, accuracies }) => `${percent(estimate(accuracies).mean)} at ${grouped(step)}`);
    return `${label}: ${told.length === 0 ? "nothing measured" : told.join(", ")}.`;
  }).join(" ");
}

function settingsSection(record: ExperimentRecord): Html {
  const { path, command, folder, commands, versions, claim, plan } = record;
  return html`
    <section>
      <h2>To repeat it</h2>
      <p>In <code>${folder}</code>:</p>
      <pre>${command}</pre>
      ${factsTable([
        ["folder of the experiment", html`<code>${path}</code>`],
        [
          "conditions",
          claim.conditions.map(({ label, flags }, i) =>
            html`<div>${swatch(i)}${label}: <code>${flags.join(" ") || "no flags of its own"}</code></div>`
          ),
        ],
        ["pretraining updates", `${grouped(plan.steps)} in each of ${claim.conditions.length * plan.seeds} runs`],
        ["labeled texts", html`<code>${plan.train}</code>, measured on <code>${plan.valid}</code>`],
        ["versions", `cloze ${versions.cloze}, Deno ${versions.deno}, ${versions.platform}`],
      ])}
      <details><summary>The ${grouped(commands.length)} commands that it ran</summary><pre>${commands.join(
        "\n",
      )}</pre></details>
    </section>
  `;
}

const sentence = (text: string) => `${text[0].toUpperCase()}${text.slice(1)}.`;

const points = (difference: number) =>
  Number.isFinite(difference) ? `${difference < 0 ? "−" : "+"}${Math.abs(100 * difference).toFixed(1)}` : "unknown";
