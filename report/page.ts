/**
 * The report: one HTML file that needs nothing else, for one run or several. Reads no file; what it says comes from the
 * records of the runs. Called by the report command and by the pretrain command.
 */

import { createHash } from "node:crypto";
import uplotLicense from "uplot/LICENSE" with { type: "text" };
import uplotStyle from "uplot/dist/uPlot.min.css" with { type: "text" };
import uplotScript from "uplot/dist/uPlot.iife.min.js" with { type: "text" };
import { clock, grouped, percent } from "../config/numbers.ts";
import { VERSION } from "../config/run_config.ts";
import { type Content, Html, html } from "./html.ts";
import chartsScript from "./page/charts.js" with { type: "text" };
import pageStyle from "./page/page.css" with { type: "text" };
import { lastStart, type RunRecord } from "./run_record.ts";
import { blanksSection, settingsSection, textSection } from "./sections.ts";
import { runSeries, whyNoReference } from "./series.ts";
import { bestOf, incomparable, verdict } from "./verdict.ts";

/** By this a file is known to be a report, which a newer one may replace. */
export const REPORT_MARK = '<meta name="generator" content="cloze report">';

/** The panels that are drawn, in order. */
const PANELS = [
  ["loss", "Loss, nats per masked token"],
  ["accuracy", "Accuracy on masked tokens"],
  ["learning_rate", "Learning rate"],
  ["grad_norm", "Gradient norm, before clipping"],
  ["tokens_per_second", "Tokens per second"],
  ["nsp_accuracy", "Accuracy of next-sentence prediction"],
] as const;

/** The text of the page. */
export function reportPage(records: readonly RunRecord[], now: Date): string {
  const runs = distinctNames(records);
  const title = runs.length === 1 ? runs[0].name : `${runs.length} runs`;
  const body = runs.length === 1 ? oneRun(runs[0]) : severalRuns(runs);
  const scripts = [uplotScript, chartsScript];
  // Only these two scripts may run, and nothing may be fetched, whatever a text in the page may contain.
  const hashes = scripts.map((script) => `'sha256-${createHash("sha256").update(script).digest("base64")}'`).join(" ");
  const page = html`
    <!DOCTYPE html>
    <html lang="en">
      <head>
    <meta charset="utf-8">
    ${new Html(REPORT_MARK)}
    <meta http-equiv="Content-Security-Policy" content="${new Html(
      `default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src ${hashes}; base-uri 'none'; form-action 'none'`,
    )}">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>${title} · cloze report</title>
    <link rel="icon" href="data:,">
    <style>${new Html(uplotStyle)}</style>
    <style>${new Html(pageStyle)}</style>
      </head>
      <body>
    <header><p><b>cloze report</b> · ${title}</p><button id="theme" type="button" hidden></button></header>
    <main>
    ${body}
    </main>
    <footer>Written by cloze ${VERSION}, ${now.toISOString().slice(0, 16).replace("T", " ")} UTC. Losses are in nats.
    Figures between evaluations are means over the updates since the point before. Drag over a chart to look closer;
    double-click to go back.</footer>
    <script type="application/json" id="data">${new Html(
      JSON.stringify({ runs: runs.map(runSeries) }).replace(/</g, "\\u003c"),
    )}</script>
    <!-- The curves are drawn by uPlot. ${uplotLicense} -->
    ${scripts.map((script) => new Html(`<script>${script}</script>\n`))}</body>
    </html>
  `;
  return `${page.text.trim()}\n`;
}

/** Runs whose folders have the same name go by their whole paths. */
function distinctNames(runs: readonly RunRecord[]): RunRecord[] {
  return runs.map((run) =>
    runs.some((other) => other !== run && other.name === run.name) ? { ...run, name: run.path } : run
  );
}

function oneRun(run: RunRecord): Html {
  return html`${verdictSection(run)}
${chartsSection([run])}
${blanksSection(run)}
${textSection(run)}
${settingsSection(run)}`;
}

function severalRuns(runs: readonly RunRecord[]): Html {
  const problems = incomparable(runs);
  return html`<section>
<h1>${runs.length} runs side by side</h1>
<ul class="findings">${
    problems.length === 0
      ? html`<li class="good">They share tokenizer, held-out text and blanks: their losses can be compared.</li>
${bestOf(runs).map(({ tone, text }) => html`<li class="${tone}">${text}</li>`)}`
      : problems.map((text) => html`<li class="bad">Their losses cannot be compared as they stand. ${text}</li>`)
  }</ul>
${comparison(runs)}
</section>
${chartsSection(runs)}
${
    runs.map((run, i) =>
      html`
        <details class="run"><summary>${swatch(i)}${run.name}</summary>
        ${verdictSection(run)}${blanksSection(run)}${textSection(run)}${settingsSection(run)}</details>
      `
    )
  }`;
}

const swatch = (i: number) => html`<span class="swatch" style="background: var(--run-${i % 8})"></span>`;

function comparison(runs: readonly RunRecord[]): Html {
  const rows = runs.map((run, i) => {
    const evaluation = run.evaluations.at(-1), start = lastStart(run), train = run.train.at(-1);
    const interval = evaluation?.accuracy_interval;
    return html`
      <tr>
        <th scope="row">${swatch(i)}${run.name}</th>
        <td class="number">${evaluation?.loss.toFixed(3) ?? "–"}</td>
        <td class="number">${start?.unigram.loss.toFixed(3) ?? "–"}</td>
        <td class="number">${evaluation === undefined ? "–" : percent(evaluation.accuracy)}</td>
        <td>${interval === undefined ? "–" : `${percent(interval[0])} to ${percent(interval[1])}`}</td>
        <td class="number">${start === undefined ? "–" : grouped(start.engine.parameter_count)}</td>
        <td class="number">${train === undefined ? "–" : grouped(train.step)}</td>
        <td class="number">${train === undefined ? "–" : grouped(train.tokens)}</td>
        <td class="number">${train === undefined ? "–" : clock(train.elapsed_ms)}</td>
      </tr>
    `;
  });
  const heads = ["held-out loss", "guessing", "accuracy", "95% interval", "parameters", "updates", "tokens", "time"];
  return html`
    <div class="scroll">
      <table>
        <thead>
          <tr><th scope="col">run</th>${heads.map((head) =>
            html`
              <th scope="col" ${head === "95% interval" ? undefined : html`
                class="number"
              `}>${head}</th>
            `
          )}</tr>
        </thead>
        <tbody>${rows}</tbody>
      </table>
    </div>
  `;
}

function verdictSection(run: RunRecord): Html {
  const { headline, tone, findings } = verdict(run);
  const evaluation = run.evaluations.at(-1), start = lastStart(run), train = run.train.at(-1);
  const figure = (name: string, value: string | undefined, small: Content) =>
    value === undefined ? undefined : html`
      <div>
        <dt>${name}</dt>
        <dd>${value}<small>${small}</small></dd>
      </div>
    `;
  const { model } = run.config ?? {};
  return html`
    <section class="${tone}">
      <h1>${headline}</h1>
      <ul class="findings">
    ${findings.map(({ tone, text, hint }) =>
      html`
        <li class="${tone}">${text}${hint === undefined ? undefined : html`
          <span class="hint">${hint}.</span>
        `}</li>
      `
    )}</ul>
      <dl class="figures">
    ${figure("held-out loss", evaluation?.loss.toFixed(3), start && `guessing: ${start.unigram.loss.toFixed(3)}`)}
    ${figure(
      "accuracy",
      evaluation && percent(evaluation.accuracy),
      evaluation && `among the five best: ${percent(evaluation.top5_accuracy)}`,
    )}
    ${figure("updates", train && grouped(train.step), train && `${grouped(train.tokens)} tokens`)}
    ${figure(
      "time",
      train && clock((run.end ?? train).elapsed_ms),
      train && `${grouped(meanSpeed(run))} tokens/s in training`,
    )}
    ${figure(
      "parameters",
      start && grouped(start.engine.parameter_count),
      model && `${model.num_hidden_layers} layers of ${model.hidden_size}`,
    )}
      </dl>
    </section>
  `;
}

/** Tokens per second, evaluation and saving left out. */
function meanSpeed(run: RunRecord): number {
  let tokens = 0, seconds = 0;
  run.train.forEach((line, i) => {
    const count = line.tokens - (run.train[i - 1]?.tokens ?? 0);
    if (!(line.tokens_per_second > 0 && count > 0)) return;
    tokens += count;
    seconds += count / line.tokens_per_second;
  });
  return seconds > 0 ? tokens / seconds : 0;
}

function chartsSection(runs: readonly RunRecord[]): Html {
  const axis = (value: string, text: string, checked: boolean) =>
    html`<label><input type="radio" name="axis" value="${value}"${
      checked
        ? html`
          checked
        `
        : undefined
    }> ${text}</label>`;
  const panels = PANELS.filter(([panel]) =>
    panel !== "nsp_accuracy" || runs.some(({ evaluations }) => evaluations.some((line) => panel in line))
  );
  return html`<section>
<h2>Curves</h2>
<fieldset><legend>over</legend>${axis("step", "updates", true)}${axis("elapsed_ms", "time", false)}${
    axis("tokens", "tokens", false)
  }</fieldset>
<div class="charts">
${
    panels.map(([panel, caption]) =>
      html`
        <figure data-panel="${panel}" data-summary="${caption}. ${summary(runs, panel)}">
        <figcaption>${caption}</figcaption>
        <div class="chart"></div>${panel === "loss" ? bandNote(runs) : undefined}
        </figure>
      `
    )
  }</div>
<noscript><p>The curves need JavaScript; the figures below do not.</p></noscript>
${evaluationTables(runs)}
</section>`;
}

/** What the shaded band is, or why there is none. */
function bandNote(runs: readonly RunRecord[]): Html {
  if (runs.length > 1) return html``;
  const why = whyNoReference(runs[0]);
  return why === undefined
    ? html`<p class="note">Shaded: between the two recorded runs on natural text (Korean reviews, English prose; model
“mini”, updates of 2,048 and 1,024 tokens; docs/experiments.md, 1), scaled to this text's frequencies. Two runs, so a
landmark and no more: other sizes of model and update do differ.</p>`
    : html`<p class="note">No band of expected losses is shown: ${why}.</p>`;
}

/** A chart in one sentence, for those who do not see it. */
function summary(runs: readonly RunRecord[], panel: (typeof PANELS)[number][0]): string {
  return runs.map((run) => {
    const held = (panel === "loss" || panel === "accuracy" || panel === "nsp_accuracy") && run.evaluations.length > 0;
    const lines = (held ? run.evaluations : run.train) as unknown as Record<string, number>[];
    const [first, last] = [lines[0]?.[panel], lines.at(-1)?.[panel]];
    if (typeof first !== "number" || typeof last !== "number") return `${run.name}: nothing recorded.`;
    const from = `from ${Number(first.toPrecision(3))} to ${Number(last.toPrecision(3))}`;
    return `${run.name}${held ? ", held-out" : ""}: ${from}.`;
  }).join(" ");
}

function evaluationTables(runs: readonly RunRecord[]): Content {
  return runs.filter(({ evaluations }) => evaluations.length > 0).map((run) =>
    html`
      <details>
        <summary>Every evaluation in figures${runs.length > 1 ? `: ${run.name}` : ""}</summary>
        <div class="scroll">
          <table>
            <thead>
              <tr>${["update", "time", "held-out loss", "perplexity", "accuracy", "95% interval", "among five"].map((
                head,
              ) => html`<th scope="col" class="number">${head}</th>`)}</tr>
            </thead>
            <tbody>
      ${run.evaluations.map((line) =>
        html`
          <tr>${[
            grouped(line.step),
            clock(line.elapsed_ms),
            line.loss.toFixed(3),
            Math.exp(line.loss).toFixed(1),
            percent(line.accuracy),
            line.accuracy_interval.map(percent).join(" to "),
            percent(line.top5_accuracy),
          ].map((cell) => html`<td class="number">${cell}</td>`)}</tr>
        `
      )}</tbody>
          </table>
        </div>
      </details>
    `
  );
}
