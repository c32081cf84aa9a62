/**
 * The report of an experiment of `cloze reproduce`: claim, verdict, accuracy over pretraining steps by condition, and every
 * command. Reads no file. Called by any_record.ts.
 */

import { grouped, percent } from "../config/numbers.ts";
import { estimate } from "../experiments/statistics.ts";
import {
  chartsSection,
  type Column,
  commandText,
  dataTable,
  factsTable,
  findingsList,
  type PageContent,
  swatch,
} from "./document.ts";
import type { ExperimentRecord } from "./experiment_record.ts";
import { crossings, differenceText } from "./experiment_text.ts";
import { type Content, type Html, html } from "./html.ts";
import type { Series } from "./series.ts";

/** A condition's accuracies at a point of pretraining, one a seed, and its losses where blanks are filled. */
type Point = { step: number; accuracies: readonly number[]; losses: readonly number[] };

/** The page. */
export function experimentPage(record: ExperimentRecord): PageContent {
  const guessing = record.losses === undefined
    ? { accuracy: "the commonest class" }
    : { loss: "guessing by frequency", accuracy: "the commonest token" };
  const words = { trained: "", measured: "mean", guessing };
  const body = html`${verdictSection(record)}
${
    chartsSection({
      panels: record.losses === undefined
        ? [["accuracy", "Accuracy on the labeled texts, over pretraining updates"]]
        : [["loss", "Loss on the blanks in nats, over pretraining updates"], [
          "accuracy",
          "Share of the blanks filled right",
        ]],
      summary: (panel) => summary(record, panel),
      stepsOnly: true,
      zoomed: true,
      after:
        html`<p class="note">Lines are means of the seeds, dots single seeds, shades the 95% interval of each mean by
Student's t. ${
          record.plan.seeds < 5 ? "With few seeds these are wide. " : ""
        }The verdict does not compare shades: it rests on
the differences between conditions with the same seed.${
          record.losses === undefined ? " At update 0 stands the same measure without any pretraining." : ""
        }</p>
${accuracyTable(record)}`,
    })
  }
${settingsSection(record)}`;
  const footnote = record.losses === undefined
    ? "Accuracies are shares of the validation file."
    : "Every model fills the same blanks of the held-out text.";
  return { title: record.experiment, body, footnote, curves: { runs: conditionSeries(record), words } };
}

/** The curves of each condition. */
function conditionSeries(record: ExperimentRecord): Series[] {
  const { claim, plan, commonest, guessing_loss } = record;
  return claim.conditions.map(({ name, label }) => {
    const points = pointsOf(record, name);
    const losses = points.every(({ losses }) => losses.length > 0) ? points.map(({ losses }) => losses) : [];
    const seeds = Array.from({ length: plan.seeds }, (_, seed) => {
      const measured = points.filter(({ accuracies }) => accuracies.length > seed);
      return {
        step: measured.map(({ step }) => step),
        accuracy: measured.map(({ accuracies }) => accuracies[seed]),
        ...(losses.length === 0 ? {} : { loss: measured.map(({ losses }) => losses[seed]) }),
      };
    });
    return {
      name: label,
      train: { step: [] },
      evaluation: {
        step: points.map(({ step }) => step),
        ...meanCurve("accuracy", points.map(({ accuracies }) => accuracies), 1),
        ...meanCurve("loss", losses, Infinity),
      },
      guessing: commonest === undefined ? undefined : { accuracy: commonest, loss: guessing_loss },
      dots: seeds,
    };
  });
}

/** Fewer seeds than these have an interval that says nothing, and would be all that a chart shows. */
const FEWEST_FOR_BAND = 3;

/** Means with the ends of their intervals, as columns. */
function meanCurve(name: string, points: readonly (readonly number[])[], most: number) {
  const estimates = points.map(estimate);
  const end = (i: 0 | 1) =>
    estimates.map(({ interval, values }) =>
      values.length < FEWEST_FOR_BAND ? null : Math.min(most, Math.max(0, interval[i]))
    );
  return { [name]: estimates.map(({ mean }) => mean), [`${name}_low`]: end(0), [`${name}_high`]: end(1) };
}

/** What has been measured of a condition, from no pretraining up. */
function pointsOf({ steps, accuracies, untrained, losses }: ExperimentRecord, condition: string): Point[] {
  return [
    { step: 0, accuracies: untrained[condition] ?? [], losses: [] },
    ...steps.map((step, at) => ({
      step,
      accuracies: accuracies[condition]?.[at] ?? [],
      losses: losses?.[condition]?.[at]?.map(({ mean }) => mean) ?? [],
    })),
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
      )} ${record.losses === undefined
        ? "examples"
        : "blanks"}. Supported means that the 95% interval of the difference lies on the side that is claimed, not supported
      that it lies on the other.</p>
      ${findingsList(
        findings.map(({ expectation, difference, verdict }) => ({
          tone: verdict === "supported" ? "good" : verdict === "not supported" ? "bad" : "neutral",
          text: `${sentence(expectation.text)} ${capital(differenceText(difference, expectation))}: ${verdict}.`,
        })).concat(crossings(record).map((text) => ({ tone: "neutral", text: sentence(text) }))),
      )}
    </section>
  `;
}

function accuracyTable(record: ExperimentRecord): Html {
  const { claim, steps } = record;
  const { losses, commonest, guessing_loss } = record, isOfBlanks = losses !== undefined;
  const columns = claim.conditions.flatMap(({ label }): Column[] => [
    ...(isOfBlanks ? [[`${label}: loss`, "text"] as const] : []),
    [isOfBlanks ? `${label}: right` : label, "text"],
  ]);
  const rows = [...(isOfBlanks ? [] : [0]), ...steps].map((step): [Content, ...Content[]] => [
    step === 0 ? "0 (random)" : grouped(step),
    ...claim.conditions.flatMap(({ name }) => {
      const point = pointsOf(record, name).find((point) => point.step === step);
      return [
        ...(isOfBlanks ? [cell(point?.losses, nats)] : []),
        cell(point?.accuracies, percent),
      ];
    }),
  ]);
  if (commonest !== undefined) {
    const guess = isOfBlanks ? [nats(guessing_loss ?? NaN), percent(commonest)] : [percent(commonest)];
    const label = isOfBlanks ? "guessing by frequency" : "always the commonest class";
    rows.push([label, ...claim.conditions.flatMap(() => guess)]);
  }
  return dataTable("updates", columns, rows);
}

/** Mean, and the seeds that it is of. */
function cell(values: readonly number[] | undefined, format: (value: number) => string): Content {
  if (values === undefined || values.length === 0) return "–";
  return html`${format(estimate(values).mean)} <span class="note">${values.map(format).join(", ")}</span>`;
}

const nats = (value: number) => value.toFixed(3);

function summary(record: ExperimentRecord, panel: string): string {
  return record.claim.conditions.map(({ name, label }) => {
    const told = pointsOf(record, name).map(({ step, accuracies, losses }) => {
      const mean = panel === "loss" ? nats(estimate(losses).mean) : percent(estimate(accuracies).mean);
      return `${mean} at ${grouped(step)}`;
    });
    return `${label}: ${told.length === 0 ? "nothing measured" : told.join(", ")}.`;
  }).join(" ");
}

function settingsSection(record: ExperimentRecord): Html {
  const { path, command, folder, commands, versions, claim, plan } = record;
  return html`
    <section>
      <h2>To repeat it</h2>
      <p>In <code>${folder}</code>:</p>
      <pre>${commandText(command)}</pre>
      ${factsTable([
        ["folder of the experiment", html`<code>${path}</code>`],
        [
          "conditions",
          claim.conditions.map(({ label, flags }, i) =>
            html`<div>${swatch(i)}${label}: <code>${commandText(flags.join(" ") || "no flags of its own")}</code></div>`
          ),
        ],
        ["pretraining updates", `${grouped(plan.steps)} in each of ${claim.conditions.length * plan.seeds} runs`],
        ...(plan.train === undefined
          ? []
          : [["labeled texts", html`<code>${plan.train}</code>, measured on <code>${plan.valid}</code>`] as const]),
        ["versions", `cloze ${versions.cloze}, Deno ${versions.deno}, ${versions.platform}`],
      ])}
      <details><summary>The ${grouped(commands.length)} commands that it ran</summary><pre>${commandText(
        commands.join("\n"),
      )}</pre></details>
    </section>
  `;
}

const capital = (text: string) => `${text[0].toUpperCase()}${text.slice(1)}`;

const sentence = (text: string) => `${capital(text)}.`;
