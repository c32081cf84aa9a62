/**
 * The report of one pretraining run or several. Reads no file; what it says comes from the records of the runs. Called by
 * any_record.ts.
 */

import { quoted } from "../config/called.ts";
import { clock, counted, grouped, percent, size } from "../config/numbers.ts";
import { beforeAfterSection } from "./before_after.ts";
import { blanksSection, blanksSideBySide } from "./blanks.ts";
import {
  chartsSection,
  commandText,
  dataTable,
  distinctNames,
  figuresList,
  findingsList,
  fromTo,
  type PageContent,
  swatch,
} from "./document.ts";
import { type Content, type Html, html } from "./html.ts";
import { guessing, lastStart, type RunRecord } from "./run_record.ts";
import { settingsSection, textSection } from "./sections.ts";
import { runSeries, whyNoReference } from "./series.ts";
import { nextStep } from "./stage.ts";
import { bestOf, incomparable, verdict } from "./verdict.ts";

/** The panels that are drawn, in order. */
const PANELS = [
  ["loss", "Loss, nats per predicted token"],
  ["accuracy", "Accuracy on predicted tokens"],
  ["learning_rate", "Learning rate"],
  ["grad_norm", "Gradient norm, before clipping"],
  ["tokens_per_second", "Tokens per second"],
  ["nsp_accuracy", "Accuracy of next-sentence prediction"],
] as const;

/** What a page about training says at its foot. */
export const TRAINING_FOOTNOTE =
  "Losses are in nats. Figures between evaluations are means over the updates since the point before.";

/** The page. */
export function runsPage(records: readonly RunRecord[]): PageContent {
  const runs = distinctNames(records);
  const title = runs.length === 1 ? runs[0].name : `${runs.length} runs`;
  const words = {
    trained: "training",
    measured: "held-out",
    guessing: {
      loss: "guessing by frequency",
      accuracy: "the commonest token",
      nsp_accuracy: "the commoner answer",
    },
  };
  const body = runs.length === 1 ? oneRun(runs[0]) : severalRuns(runs);
  return { title, body, footnote: TRAINING_FOOTNOTE, curves: { runs: runs.map(runSeries), words } };
}

function oneRun(run: RunRecord): Html {
  return html`${verdictSection(run)}
${beforeAfterSection(run)}
${curves([run])}
${blanksSection(run)}
${textSection(run)}
${settingsSection(run)}`;
}

function severalRuns(runs: readonly RunRecord[]): Html {
  const problems = incomparable(runs), conclusion = problems.length === 0 ? bestOf(runs) : undefined;
  return html`<section>
<h1>${conclusion?.text ?? `${runs.length} runs side by side`}</h1>
${
    findingsList(
      problems.length === 0
        ? [
          {
            tone: "good",
            text: "They share tokenizer, held-out text and blanks: their losses can be compared.",
          },
          ...(conclusion?.findings ?? []),
        ]
        : problems.map((text) => ({ tone: "bad", text: `Their losses cannot be compared as they stand. ${text}` })),
    )
  }
${comparison(runs)}
</section>
${curves(runs)}
${blanksSideBySide(runs)}
${
    runs.map((run, i) =>
      html`
        <details class="run"><summary>${swatch(i)}${run.name}</summary>
        ${verdictSection(run)}${beforeAfterSection(run)}${blanksSection(run)}${textSection(run)}${settingsSection(
          run,
        )}</details>
      `
    )
  }`;
}

function comparison(runs: readonly RunRecord[]): Html {
  const rows = runs.map((run, i): [Content, ...Content[]] => {
    const evaluation = run.evaluations.at(-1), start = lastStart(run), train = run.train.at(-1);
    const interval = evaluation?.accuracy_interval;
    return [
      html`${swatch(i)}${run.name}`,
      evaluation?.loss.toFixed(3) ?? "–",
      guessing(run)?.loss.toFixed(3) ?? "–",
      evaluation === undefined ? "–" : percent(evaluation.accuracy),
      interval === undefined ? "–" : `${percent(interval[0])} to ${percent(interval[1])}`,
      start === undefined ? "–" : grouped(start.engine.parameter_count),
      train === undefined ? "–" : grouped(train.step),
      train === undefined ? "–" : grouped(train.tokens),
      train === undefined ? "–" : clock(train.elapsed_ms),
    ];
  });
  const numbers = (...heads: string[]) => heads.map((head) => [head, "number"] as const);
  return dataTable("run", [
    ...numbers("held-out loss", "guessing", "accuracy"),
    ["95% interval", "text"],
    ...numbers("parameters", "updates", "tokens", "time"),
  ], rows);
}

function verdictSection(run: RunRecord): Html {
  const { headline, tone, findings } = verdict(run);
  const evaluation = run.evaluations.at(-1), start = lastStart(run), train = run.train.at(-1);
  const next = nextStep(run, quoted(run.path)), { model } = run.config ?? {}, guessed = guessing(run);
  return html`
    <section class="${tone}">
      <h1>${headline}</h1>
      ${next && html`
        <p>What to do next: ${next.text}.</p>
        <pre>${commandText(next.command)}</pre>
      `}
      ${findingsList(findings)}
      ${figuresList([
        ["held-out loss", evaluation?.loss.toFixed(3), guessed && `guessing: ${guessed.loss.toFixed(3)}`],
        [
          "accuracy",
          evaluation && percent(evaluation.accuracy),
          evaluation && `among the five best: ${percent(evaluation.top5_accuracy)}`,
        ],
        ["updates", train && grouped(train.step), train && counted(train.tokens, "token")],
        [
          "passes over the text",
          typeof train?.epoch === "number" ? passesText(train.epoch) : undefined,
          start && `${grouped(start.train.tokens)} tokens in it`,
        ],
        [
          "time",
          train && clock((run.end ?? train).elapsed_ms),
          train && `${grouped(meanSpeed(run.train))} tokens/s in training${exchanges(run.train)}`,
        ],
        [
          "parameters",
          start && grouped(start.engine.parameter_count),
          model && `${counted(model.num_hidden_layers, "layer")} of ${model.hidden_size}`,
        ],
        [
          "memory",
          typeof run.end?.memory_bytes === "number" ? size(run.end.memory_bytes) : undefined,
          "most, of the process",
        ],
      ])}
    </section>
  `;
}

/** The share of the time that processes spend in exchanges, in words; nothing where there was one. */
function exchanges(train: RunRecord["train"]): string {
  const speed = meanSpeed(train), tokens = train.at(-1)?.tokens ?? 0;
  const spent = train.map(({ exchange_ms }) => exchange_ms).filter((ms) => typeof ms === "number");
  if (spent.length === 0 || !(speed > 0 && tokens > 0)) return "";
  const share = spent.reduce((sum, ms) => sum + ms, 0) * speed / (1000 * tokens);
  return `; ${percent(share)} of it in exchanges between processes`;
}

const passesText = (passes: number) => (passes < 0.995 ? percent(passes) : passes.toFixed(passes < 10 ? 1 : 0));

/** Tokens per second, evaluation and saving left out. */
export function meanSpeed(train: RunRecord["train"]): number {
  let tokens = 0, seconds = 0;
  train.forEach((line, i) => {
    const count = line.tokens - (train[i - 1]?.tokens ?? 0);
    if (!(line.tokens_per_second > 0 && count > 0)) return;
    tokens += count;
    seconds += count / line.tokens_per_second;
  });
  return seconds > 0 ? tokens / seconds : 0;
}

function curves(runs: readonly RunRecord[]): Html {
  const hasPairs = runs.some(({ evaluations }) => evaluations.some((line) => "nsp_accuracy" in line));
  return chartsSection({
    panels: PANELS.filter(([panel]) => panel !== "nsp_accuracy" || hasPairs),
    summary: (panel) => summary(runs, panel),
    note: bandNote(runs),
    after: evaluationTables(runs),
  });
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
function summary(runs: readonly RunRecord[], panel: string): string {
  return runs.map((run) => {
    const held = ["loss", "accuracy", "nsp_accuracy"].includes(panel) && run.evaluations.length > 0;
    return fromTo(`${run.name}${held ? ", held-out" : ""}`, held ? run.evaluations : run.train, panel);
  }).join(" ");
}

function evaluationTables(runs: readonly RunRecord[]): Content {
  const heads = ["time", "held-out loss", "perplexity", "accuracy", "95% interval", "among five"];
  return runs.filter(({ evaluations }) => evaluations.length > 0).map((run) =>
    html`
      <details>
        <summary>Every evaluation in figures${runs.length > 1 ? `: ${run.name}` : ""}</summary>
        ${dataTable(
          "update",
          heads.map((head) => [head, "number"] as const),
          run.evaluations.map((line) => [
            grouped(line.step),
            clock(line.elapsed_ms),
            line.loss.toFixed(3),
            Math.exp(line.loss).toFixed(1),
            percent(line.accuracy),
            line.accuracy_interval.map(percent).join(" to "),
            percent(line.top5_accuracy),
          ]),
        )}
      </details>
    `
  );
}
