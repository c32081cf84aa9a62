/** The report's section about filled blanks: one table over the evaluations of a run, or over several runs. Called by page.ts. */

import { grouped, percent } from "../config/numbers.ts";
import type { Blanks } from "../config/metric.ts";
import { type Column, dataTable } from "./document.ts";
import { type Content, type Html, html } from "./html.ts";
import { type RunRecord, taskOf } from "./run_record.ts";

/** Evaluations that the blanks are shown at: the first, the last and some between. */
const SHOWN = 5;

type Line = Blanks["lines"][number];

/** The same sentences as the model filled them at successive evaluations; nothing for one that reads from the left only. */
export function blanksSection(run: RunRecord): Html | undefined {
  if (!taskOf(run).masks && run.blanks.length === 0) return undefined;
  if (run.blanks.length === 0) {
    return html`
      <section>
        <h2>Filled blanks over time</h2>
        <p class="note">None are recorded.</p>
      </section>
    `;
  }
  const { lines } = run.blanks[run.blanks.length - 1];
  const shown = spread(run.blanks, SHOWN);
  const origin = lines.some(({ answer }) => answer !== undefined)
    ? "Sentences of the held-out text, taken by a fixed rule and not by how well they turn out."
    : "Sentences made for the practice corpus, the same in every run.";
  return html`
    <section>
      <h2>Filled blanks over time</h2>
      <p class="note">${origin} ${HOW_TO_READ}</p>
      ${dataTable(
        "sentence",
        shown.map(({ step }): Column => [`update ${grouped(step)}`, "text"]),
        lines.map((line) => [sentence(line), ...shown.map(({ lines }) => answers(sameIn(lines, line), line.answer))]),
        "blanks",
      )}
    </section>
  `;
}

/** The same sentences as several runs fill them at their last evaluations; nothing where they share none. */
export function blanksSideBySide(runs: readonly RunRecord[]): Html | undefined {
  const last = runs.map(({ blanks }) => blanks.at(-1)?.lines ?? []);
  const shared = last[0].filter((line) => last.every((lines) => sameIn(lines, line) !== undefined));
  if (shared.length === 0) return undefined;
  return html`
    <section>
      <h2>The same blanks side by side</h2>
      <p class="note">At the last evaluation of each run. ${HOW_TO_READ}</p>
      ${dataTable(
        "sentence",
        runs.map(({ name }): Column => [name, "text"]),
        shared.map((line) => [sentence(line), ...last.map((lines) => answers(sameIn(lines, line), line.answer))]),
        "blanks",
      )}
    </section>
  `;
}

const HOW_TO_READ = "What stood in the text is marked; under the best answer stand the next ones.";

const sameIn = (lines: readonly Line[], { text }: Line) => lines.find((line) => line?.text === text);

/** The sentence with what stood in it. `bdi`: text from right to left turns nothing around it. */
function sentence({ text, answer }: Line): Html {
  const [before, ...after] = text.split("[MASK]");
  return html`<bdi>${before}<mark>${answer ?? "____"}</mark>${after.join("[MASK]")}</bdi>`;
}

/** The best answer with its probability, and the next ones. */
function answers(line: Line | undefined, answer: string | undefined): Content {
  const [best, ...others] = line?.predictions ?? [];
  if (best === undefined) return "–";
  const shown = (token: string) => html`<bdi>${token === answer ? html`<mark>${token}</mark>` : token}</bdi>`;
  const next = others.map(({ token }, i) => html`${i > 0 ? " · " : ""}${shown(token)}`);
  return html`${shown(best.token)} ${percent(best.probability)}<span class="note">${next}</span>`;
}

/** The first, the last, and others evenly between. */
function spread<T>(items: readonly T[], count: number): T[] {
  if (items.length <= count) return [...items];
  return Array.from({ length: count }, (_, i) => items[Math.round(i * (items.length - 1) / (count - 1))]);
}
