/**
 * A run that goes on from a model, next to that model: what its text and other text cost before and after, and how both
 * fill the same blanks. Called by page.ts and verdict.ts.
 */

import { grouped, percent } from "../config/numbers.ts";
import { dataTable } from "./document.ts";
import { type Content, type Html, html } from "./html.ts";
import { conforms, type RunRecord } from "./run_record.ts";

type Measured = RunRecord["evaluations"][number];

/** The model's figures before the first update, and the newest ones after it. */
export interface BeforeAfter {
  before: Measured;
  after: Measured;
}

/** Both, of a run that goes on from a model and was measured since. */
export function beforeAfter(run: RunRecord): BeforeAfter | undefined {
  const before = run.evaluations.find(({ step }) => step === 0), after = run.evaluations.at(-1);
  if (before === undefined || after === undefined || after.step === 0) return undefined;
  return run.config?.from === undefined ? undefined : { before, after };
}

/** A change in nats, with its sign. */
export function change(before: number, after: number): string {
  const by = after - before;
  return `${by < 0 ? "−" : "+"}${Math.abs(by).toFixed(3)}`;
}

/** What it cost and what it brought: `your text −0.92 nats, the reference +0.08`. */
export function changes({ before, after }: BeforeAfter): string {
  const [old, now] = [referenceOf(before), referenceOf(after)];
  const other = old === undefined || now === undefined ? "" : `, the reference ${change(old.loss, now.loss)}`;
  return `your text ${change(before.loss, after.loss)} nats${other}`;
}

/** The figures on the reference text, if there are any. */
export function referenceOf(evaluation: Measured): NonNullable<Measured["reference"]> | undefined {
  const { reference } = evaluation;
  return conforms(reference, { loss: 0, accuracy: 0, masked: 0 }) ? reference : undefined;
}

/** Losses before and after, and the same blanks filled by both models. */
export function beforeAfterSection(run: RunRecord): Html | undefined {
  const both = beforeAfter(run);
  if (both === undefined) return undefined;
  return html`
    <section>
      <h2>Before and after</h2>
      <p>It went on from the model in <code>${String(run.config?.from?.path)}</code>, whose weights have the SHA-256
      <code>${String(run.config?.from?.sha256)}</code>.</p>
      ${lossTable(both)}
      <p class="note">Losses in nats a token, of the same blanks: “before” is the model that the run began with, without an
      update.</p>
      ${filledTable(run)}
    </section>
  `;
}

function lossTable({ before, after }: BeforeAfter): Html {
  const row = (name: string, tokens: number, old: Figures, now: Figures): [Content, ...Content[]] => [
    name,
    grouped(tokens),
    old.loss.toFixed(3),
    now.loss.toFixed(3),
    change(old.loss, now.loss),
    percent(old.accuracy),
    percent(now.accuracy),
  ];
  const scripts = scriptsOf(after).flatMap((group) => {
    const old = scriptsOf(before).find(({ name }) => name === group.name);
    return old === undefined ? [] : [row(`of it, ${group.name}`, group.count, old, group)];
  });
  const [old, now] = [referenceOf(before), referenceOf(after)];
  return dataTable(
    "text",
    ["tokens", "loss before", "after", "change", "accuracy before", "after"].map((head) => [head, "number"] as const),
    [
      row("held-out text", after.masked, before, after),
      ...scripts,
      ...(old === undefined || now === undefined ? [] : [row("reference", now.masked, old, now)]),
    ],
  );
}

interface Figures {
  loss: number;
  accuracy: number;
}

function scriptsOf({ scripts }: Measured): NonNullable<Measured["scripts"]> {
  return Array.isArray(scripts) && conforms(scripts, [{ name: "", count: 0, loss: 0, accuracy: 0 }]) ? scripts : [];
}

/** The blanks with the best answer of each model. */
function filledTable(run: RunRecord): Html | undefined {
  const before = run.blanks.find(({ step }) => step === 0), after = run.blanks.at(-1);
  if (before === undefined || after === undefined || after === before) return undefined;
  const best = ({ predictions: [first] }: typeof after.lines[number], answer: string | undefined): Content =>
    first === undefined
      ? "–"
      : html`${first.token === answer ? html`<mark>${first.token}</mark>` : first.token} ${percent(first.probability)}`;
  const rows = after.lines.flatMap((line): [Content, ...Content[]][] => {
    const old = before.lines.find(({ text }) => text === line.text);
    return old === undefined ? [] : [[line.text, line.answer ?? "–", best(old, line.answer), best(line, line.answer)]];
  });
  return rows.length === 0 ? undefined : dataTable(
    "blank",
    [["what stood there", "text"], ["the old model", "text"], ["the new one", "text"]],
    rows,
  );
}
