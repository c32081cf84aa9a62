/**
 * The frame of every report: one HTML file that needs nothing else, with its style, its two scripts and the curves that
 * they draw. Knows no kind of report. Called by the pages of this room.
 */

import { createHash } from "node:crypto";
import uplotLicense from "uplot/LICENSE" with { type: "text" };
import uplotStyle from "uplot/dist/uPlot.min.css" with { type: "text" };
import uplotScript from "uplot/dist/uPlot.iife.min.js" with { type: "text" };
import { VERSION } from "../config/run_config.ts";
import { type Content, Html, html } from "./html.ts";
import chartsScript from "./page/charts.js" with { type: "text" };
import pageStyle from "./page/page.css" with { type: "text" };
import type { Series } from "./series.ts";

/** By this a file is known to be a report, which a newer one may replace. */
export const REPORT_MARK = '<meta name="generator" content="cloze report">';

/** What the charts draw, and what they call it. */
export interface Curves {
  runs: readonly Series[];
  words: {
    /** Over the updates since the point before. */
    trained: string;
    /** At each evaluation. */
    measured: string;
    /** The dashed line, by panel. */
    guessing: Record<string, string>;
  };
}

/** The scripts that draw the curves. */
export const chartScripts: readonly string[] = [uplotScript, chartsScript];

/** A page without its frame. */
export interface PageContent {
  title: string;
  body: Html;
  footnote: string;
  curves: Curves;
}

/** What a page has that follows a run. */
export interface Following {
  /** A script that brings what is new. */
  script: string;
  /** Above everything: how the run stands. */
  banner: Html;
}

/** The text of the file. */
export function document({ title, body, footnote, curves }: PageContent, now: Date, following?: Following): string {
  const scripts = [...chartScripts, ...(following === undefined ? [] : [following.script])];
  const page = html`
    <!DOCTYPE html>
    <html lang="en">
      <head>
    <meta charset="utf-8">
    ${new Html(REPORT_MARK)}
    <meta http-equiv="Content-Security-Policy" content="${new Html(policy(scripts, following !== undefined))}">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>${title} · cloze report</title>
    <link rel="icon" href="data:,">
    <style>${new Html(uplotStyle)}</style>
    <style>${new Html(pageStyle)}</style>
      </head>
      <body>
    <header><p><b>cloze report</b> · ${title}</p><button id="theme" type="button" hidden></button></header>
    ${following?.banner}
    <main>
    ${body}
    </main>
    <footer>Written by cloze ${VERSION}, ${moment(now.toISOString())}. ${footnote} Drag over a
    chart to look closer; double-click to go back.</footer>
    <script type="application/json" id="data">${new Html(JSON.stringify(curves).replace(/</g, "\\u003c"))}</script>
    <!-- The curves are drawn by uPlot. ${uplotLicense} -->
    ${scripts.map((script) => new Html(`<script>${script}</script>\n`))}</body>
    </html>
  `;
  return `${page.text.trim()}\n`;
}

/**
 * What a browser lets the page do: run these scripts and no other, whatever a text in the page may contain, and fetch
 * nothing, but for one that follows a run, which asks its own server.
 */
export function policy(scripts: readonly string[], asks: boolean): string {
  const hashes = scripts.map((script) => `'sha256-${createHash("sha256").update(script).digest("base64")}'`).join(" ");
  const connect = asks ? " connect-src 'self';" : "";
  return `default-src 'none';${connect} img-src data:; style-src 'unsafe-inline'; script-src ${hashes}; ` +
    "base-uri 'none'; form-action 'none'";
}

/** A panel: what it draws, and its heading. */
export type Panel = readonly [name: string, caption: string];

/** Panels about how the training went, and not about what it reached: they are drawn smaller, three in a row. */
const SMALLER = ["learning_rate", "grad_norm", "tokens_per_second"];

/** The charts, with a choice of what they are drawn over. */
export function chartsSection(options: {
  panels: readonly Panel[];
  /** What a panel shows, in words, for those who do not see it. */
  summary: (panel: string) => string;
  /** Only over updates. */
  stepsOnly?: boolean;
  /** Whether shares are drawn from their least and not from nothing. */
  zoomed?: boolean;
  /** Under the panel of the loss. */
  note?: Content;
  /** Under the charts. */
  after?: Content;
}): Html {
  const { panels, summary, stepsOnly = false, zoomed = false, note, after } = options;
  const axis = (value: string, text: string) =>
    html`<label><input type="radio" name="axis" value="${value}"${
      value === "step" ? new Html(" checked") : undefined
    }> ${text}</label>`;
  return html`<section>
<h2>Curves</h2>
${
    stepsOnly
      ? undefined
      : html`<fieldset><legend>over</legend>${axis("step", "updates")}${axis("elapsed_ms", "time")}${
        axis("tokens", "tokens")
      }</fieldset>`
  }
<div class="charts">
${
    panels.map(([panel, caption]) =>
      html`
        <figure data-panel="${panel}" class="${SMALLER.includes(panel) ? "smaller" : perRow(panels)}" ${zoomed
          ? new Html(' data-zoomed="true"')
          : undefined} data-summary="${caption}. ${summary(panel)}">
        <figcaption>${caption}</figcaption>
        <div class="chart"></div>${panel === "loss" ? note : undefined}
        </figure>
      `
    )
  }</div>
<noscript><p>The curves need JavaScript; the figures below do not.</p></noscript>
${after}
</section>`;
}

/** Rows are filled to their ends: two or three charts in one. */
function perRow(panels: readonly Panel[]): string {
  const large = panels.filter(([panel]) => !SMALLER.includes(panel)).length;
  return large === 1 ? "whole" : large % 3 === 0 ? "smaller" : "half";
}

/** What is found, each with its mark. */
export function findingsList(
  findings: readonly { tone: string; text: string; hint?: string | undefined }[],
): Html {
  return html`
    <ul class="findings">
    ${findings.map(({ tone, text, hint }) =>
      html`
        <li class="${tone}">${text}${hint === undefined ? undefined : html`
          <span class="hint">${hint}.</span>
        `}</li>
      `
    )}</ul>
  `;
}

/** Figures that a row of a wide page takes. */
const MOST_IN_ROW = 7;

/** A few figures with what they mean, in rows that are filled; those without a value are left out. */
export function figuresList(figures: readonly [name: string, value: string | undefined, small: Content][]): Html {
  const known = figures.filter(([, value]) => value !== undefined), half = Math.ceil(known.length / 2);
  const inRow = known.length > MOST_IN_ROW ? half : known.length;
  return html`
    <dl class="figures" style="--in-row: ${inRow}; --in-half-row: ${half}">
    ${known.map(([name, value, small]) =>
      html`
        <div>
          <dt>${name}</dt>
          <dd>${value}<small>${small}</small></dd>
        </div>
      `
    )}
    </dl>
  `;
}

/** A column of a table: its heading, and whether it holds numbers. */
export type Column = readonly [head: string, kind: "number" | "text"];

/** A table whose first column names the rows. */
export function dataTable(
  first: string,
  columns: readonly Column[],
  rows: readonly (readonly [Content, ...Content[]])[],
  look?: "blanks",
): Html {
  const type = (kind: Column[1]) => (kind === "number" ? new Html(' class="number"') : undefined);
  return html`
    <div class="scroll">
      <table${look === undefined ? undefined : new Html(` class="${look}"`)}>
        <thead>
          <tr><th scope="col">${first}</th>${columns.map(([head, kind]) =>
            html`
              <th scope="col" ${type(kind)}>${head}</th>
            `
          )}</tr>
        </thead>
        <tbody>
    ${rows.map(([name, ...cells]) =>
      html`
        <tr><th scope="row">${name}</th>${cells.map((cell, i) => html`<td${type(columns[i][1])}>${cell}</td>`)}</tr>
      `
    )}</tbody>
        </table>
        </div>
  `;
}

/** Names and values. */
export function factsTable(rows: readonly (readonly [string, Content])[]): Html {
  return html`
    <div class="scroll">
      <table>
        <tbody>
    ${rows.map(([name, value]) =>
      html`
        <tr>
          <th scope="row">${name}</th>
          <td>${value}</td>
        </tr>
      `
    )}</tbody>
      </table>
    </div>
  `;
}

/** A command. None of its flags is broken behind its dashes, as a narrow page would. */
export function commandText(command: string): Html {
  const parts = command.split(/(?<=^|\s)(--[\w-]+)/);
  return html`${parts.map((part, i) => i % 2 === 0 ? part : html`<span class="flag">${part}</span>`)}`;
}

/** A time of a record, as the page says it. */
export const moment = (time: string): string => `${time.slice(0, 16).replace("T", " ")} UTC`;

/** The colour of a run's curves. */
export const swatch = (i: number) => html`<span class="swatch" style="background: var(--run-${i % 8})"></span>`;

/** Names of runs: the last parts of their paths, or, where two have the same, the whole paths. */
export function distinctNames<T extends { name: string; path: string }>(runs: readonly T[]): T[] {
  return runs.map((run) =>
    runs.some((other) => other !== run && other.name === run.name) ? { ...run, name: run.path } : run
  );
}

/** First and last of a column, in words. */
export function fromTo(name: string, lines: readonly object[], column: string): string {
  const values = lines as readonly Record<string, unknown>[];
  const [first, last] = [values[0]?.[column], values.at(-1)?.[column]];
  if (typeof first !== "number" || typeof last !== "number") return `${name}: nothing recorded.`;
  return `${name}: from ${Number(first.toPrecision(3))} to ${Number(last.toPrecision(3))}.`;
}
