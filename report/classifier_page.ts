/**
 * The report of one fine-tuning or several: verdict, curves, confusion matrix, each class, how to repeat it. Reads no file.
 * Called by any_record.ts.
 */

import { clock, counted, grouped, orDash, percent } from "../config/numbers.ts";
import type { EntityScores } from "../config/entities.ts";
import type { Mistakes } from "../config/metric.ts";
import type { LabeledFile } from "../config/finetune_run.ts";
import type { Classification, ClassifierRecord } from "./classifier_record.ts";
import {
  bestClassifier,
  classifierVerdict,
  classResults,
  guessingLoss,
  incomparableClassifiers,
} from "./classifier_verdict.ts";
import { accuracyOf, commonest, lossUnit, recordOf, titled } from "./classifier_words.ts";
import { correlation } from "./regression.ts";
import {
  chartsSection,
  commandText,
  dataTable,
  distinctNames,
  factsTable,
  figuresList,
  findingsList,
  fromTo,
  moment,
  type PageContent,
  swatch,
} from "./document.ts";
import { type Content, Html, html } from "./html.ts";
import { meanSpeed, TRAINING_FOOTNOTE } from "./page.ts";
import { type Series, trainingSeries } from "./series.ts";

const TRAINING_PANELS = [
  ["learning_rate", "Learning rate"],
  ["grad_norm", "Gradient norm, before clipping"],
  ["tokens_per_second", "Tokens per second"],
] as const;
const EVALUATED = ["loss", "accuracy", "pearson"];
/** Of models that predict values. */
const VALUE_PANELS = [
  ["loss", "Loss, mean squared error"],
  ["pearson", "Pearson’s correlation"],
  ...TRAINING_PANELS,
] as const;

/** The charts; several runs that are about different things share no more exact words. */
function panelsOf(runs: readonly ClassifierRecord[]): readonly (readonly [string, string])[] {
  if (runs.every(predictsValues)) return VALUE_PANELS;
  const shared = (of: (run: ClassifierRecord) => string) => new Set(runs.map(of)).size === 1 ? of(runs[0]) : undefined;
  const unit = shared(lossUnit), accuracy = titled(shared(accuracyOf) ?? "told right");
  return [
    ["loss", `Loss, nats${unit === undefined ? "" : ` a ${unit}`}`],
    ["accuracy", unit === "word" ? `${accuracy}, words` : accuracy],
    ...TRAINING_PANELS,
  ];
}

const predictsValues = ({ run }: ClassifierRecord) => run.problem_type === "regression";
/** What the validation file gave, whatever is predicted. */
const measured = (record: ClassifierRecord) => predictsValues(record) ? record.regressions : record.evaluations;

/** Classes that a confusion matrix still can be read with. */
const MOST_CLASSES = 20;

/** The page. */
export function classifiersPage(records: readonly ClassifierRecord[]): PageContent {
  const runs = distinctNames(records);
  const title = runs.length === 1 ? runs[0].name : `${runs.length} classifiers`;
  const guessing = runs.every(predictsValues)
    ? { loss: "always the mean", accuracy: "", pearson: "chance" }
    : { loss: "guessing by frequency", accuracy: commonest(runs[0]) };
  const words = { trained: "training", measured: "validation", guessing };
  const body = runs.length === 1
    ? html`${verdictSection(runs[0])}
${curves(runs)}
${classesSection(runs[0])}
${mistakesSection(runs[0])}
${settingsSection(runs[0])}`
    : several(runs);
  return { title, body, footnote: TRAINING_FOOTNOTE, curves: { runs: runs.map(series), words } };
}

function series(record: ClassifierRecord): Series {
  const last = record.evaluations.at(-1), value = record.regressions.at(-1);
  if (value !== undefined) {
    return {
      ...trainingSeries({ ...record, evaluations: record.regressions }),
      guessing: { loss: value.variance, pearson: 0 },
    };
  }
  return {
    ...trainingSeries(record),
    guessing: last && { loss: guessingLoss(last), accuracy: last.majority },
  };
}

function several(runs: readonly ClassifierRecord[]): Html {
  const problems = incomparableClassifiers(runs), values = runs.every(predictsValues);
  const figures = values ? "figures" : "accuracies";
  const findings = problems.length === 0
    ? [{
      tone: "good",
      text: `They share ${values ? "the" : "classes and"} validation file: their ${figures} can be compared.`,
    }]
      .concat(bestClassifier(runs))
    : problems.map((text) => ({ tone: "bad", text: `Their ${figures} cannot be compared as they stand. ${text}` }));
  return html`<section>
<h1>${runs.length} classifiers side by side</h1>
${findingsList(findings)}
${comparison(runs)}
</section>
${curves(runs)}
${
    runs.map((run, i) =>
      html`
        <details class="run"><summary>${swatch(i)}${run.name}</summary>
        ${verdictSection(run)}${classesSection(run)}${mistakesSection(run)}${settingsSection(run)}</details>
      `
    )
  }`;
}

function comparison(runs: readonly ClassifierRecord[]): Html {
  if (runs.every(predictsValues)) return valueComparison(runs);
  const columns = [
    ["began at", "text"],
    [accuracyOf(runs[0]), "number"],
    ["95% interval", "text"],
    ["macro-F1", "number"],
    ["on its training file", "number"],
    [commonest(runs[0]).replace("the ", ""), "number"],
    [`${recordOf(runs[0])}s`, "number"],
    ["updates", "number"],
    ["time", "number"],
  ] as const;
  return dataTable(
    "classifier",
    columns,
    runs.map(({ name, run, evaluations, onTraining, train, end }, i): [Content, ...Content[]] => {
      const last = evaluations.at(-1), line = train.at(-1);
      const from = run.from_scratch ? "random weights" : run.model;
      return [
        html`${swatch(i)}${name}`,
        run.finetuning.probe ? `${from}, encoder left as it is` : from,
        last === undefined ? "–" : percent(last.accuracy),
        last === undefined ? "–" : last.accuracy_interval.map(percent).join(" to "),
        last === undefined ? "–" : percent(last.macro_f1),
        onTraining === undefined ? "–" : percent(onTraining.accuracy),
        last === undefined ? "–" : percent(last.majority),
        grouped(run.train.texts),
        line === undefined ? "–" : grouped(line.step),
        line === undefined ? "–" : clock((end ?? line).elapsed_ms),
      ];
    }),
  );
}

function valueComparison(runs: readonly ClassifierRecord[]): Html {
  const columns = ["Pearson", "Spearman", "squared error", "always the mean", "texts", "updates"];
  return dataTable(
    "model",
    columns.map((column) => [column, "number"] as const),
    runs.map(({ name, run, regressions, train }, i): [Content, ...Content[]] => {
      const last = regressions.at(-1), line = train.at(-1);
      return [
        html`${swatch(i)}${name}`,
        last === undefined ? "–" : correlation(last.pearson),
        last === undefined ? "–" : correlation(last.spearmanr),
        last === undefined ? "–" : last.mse.toPrecision(3),
        last === undefined ? "–" : last.variance.toPrecision(3),
        grouped(run.train.texts),
        line === undefined ? "–" : grouped(line.step),
      ];
    }),
  );
}

function valueFigures({ regressions, regressionOnTraining }: ClassifierRecord): Parameters<typeof figuresList>[0] {
  const last = regressions.at(-1), fit = regressionOnTraining;
  return [
    [
      "Pearson",
      last && correlation(last.pearson),
      last?.by_value === undefined ? "0 is chance, 1 the best" : `mean of ${last.by_value.length} values`,
    ],
    ["Spearman", last && correlation(last.spearmanr), "of the ranks"],
    ["squared error", last && last.mse.toPrecision(3), last && `always the mean: ${last.variance.toPrecision(3)}`],
    ["on its training file", fit && fit.mse.toPrecision(3), fit && counted(fit.count, "text")],
  ];
}

function verdictSection(record: ClassifierRecord): Html {
  const { run, train, end } = record;
  const { headline, tone, findings } = classifierVerdict(record);
  const line = train.at(-1);
  return html`
    <section class="${tone}">
      <h1>${headline}</h1>
      ${findingsList(findings)}
      ${figuresList([
        ...(predictsValues(record) ? valueFigures(record) : classFigures(record)),
        ["updates", line && grouped(line.step), `of ${grouped(run.finetuning.batch_size)} ${recordOf(record)}s`],
        ["time", line && clock((end ?? line).elapsed_ms), `${grouped(meanSpeed(train))} tokens/s in training`],
      ])}
    </section>
  `;
}

function classFigures(record: ClassifierRecord): Parameters<typeof figuresList>[0] {
  const { run, evaluations, onTraining } = record, last = evaluations.at(-1);
  const isSets = run.problem_type === "multi_label_classification";
  const micro: [string, string | undefined, string] = [
    "micro-F1",
    last?.micro_f1 === undefined ? undefined : percent(last.micro_f1),
    "of all labels",
  ];
  return [
    [
      accuracyOf(record),
      last && percent(last.accuracy),
      last && `${commonest(record)}: ${percent(last.majority)}`,
    ],
    ...(isSets ? [micro] : []),
    [
      "macro-F1",
      last && percent(last.macro_f1),
      isSets ? counted(run.labels.length, "label") : counted(run.labels.length, "class", "classes"),
    ],
    ...(last?.entities === undefined ? [] : [entityFigure(last.entities)]),
    ["loss", last && last.loss.toFixed(3), last && `guessing by frequency: ${guessingLoss(last).toFixed(3)}`],
    [
      "on its training file",
      onTraining && percent(onTraining.accuracy),
      onTraining && counted(onTraining.count, run.unit ?? "text"),
    ],
  ];
}

function curves(runs: readonly ClassifierRecord[]): Html {
  return chartsSection({
    panels: panelsOf(runs),
    summary: (panel) =>
      runs.map((run) =>
        EVALUATED.includes(panel)
          ? fromTo(`${run.name}, validation`, measured(run), panel)
          : fromTo(run.name, run.train, panel)
      ).join(" "),
    after: runs.filter(({ evaluations }) => evaluations.length > 0).map((run) =>
      html`
        <details>
          <summary>Every evaluation in figures${runs.length > 1 ? `: ${run.name}` : ""}</summary>
          ${dataTable(
            "update",
            ["time", "loss", accuracyOf(run), "95% interval", "macro-F1", "95% interval"].map((head) =>
              [head, "number"] as const
            ),
            run.evaluations.map((line) => [
              grouped(line.step),
              clock(line.elapsed_ms),
              line.loss.toFixed(3),
              percent(line.accuracy),
              line.accuracy_interval.map(percent).join(" to "),
              percent(line.macro_f1),
              line.macro_f1_interval.map(percent).join(" to "),
            ]),
          )}
        </details>
      `
    ),
  });
}

/** F1 of entities, with what it is made of. */
function entityFigure({ f1, precision, recall, count }: EntityScores): [string, string, string] {
  const of = `precision ${percent(precision)}, recall ${percent(recall)}, of ${grouped(count)}`;
  return ["entity F1", percent(f1), of];
}

/** Which classes are taken for which, and how each fares. */
function classesSection(record: ClassifierRecord): Html {
  const { run, evaluations } = record, last = evaluations.at(-1);
  if (predictsValues(record)) return valuesSection(record);
  if (last === undefined) return html``;
  const units = `${run.unit ?? "text"}s`;
  const columns = [units, "answered", "precision", "recall", "F1"].map((head) => [head, "number"] as const);
  return html`
    <section>
      <h2>${last.by_label === undefined ? "Classes" : "Labels"}</h2>
      ${last.by_label !== undefined
        ? html``
        : run.labels.length > MOST_CLASSES
        ? frequentConfusions(last, run.labels)
        : matrix(last, run.labels)}
      ${dataTable(
        last.by_label === undefined ? "class" : "label",
        columns,
        classResults(last, run.labels).map(({ label, there, said, precision, recall, f1 }) => [
          label,
          grouped(there),
          grouped(said),
          orDash(precision, percent),
          orDash(recall, percent),
          orDash(f1, percent),
        ]),
      )}
      <p class="note">Measured on the validation file at update ${grouped(
        last.step,
      )}. Precision: of the ${units} answered so,
      the share that is right. Recall: of the ${units} ${last.by_label === undefined
        ? "of the class"
        : "with the label"}, the share that is found.</p>
    </section>
  `;
}

/** How each of several values fares. */
function valuesSection({ run, regressions }: ClassifierRecord): Html {
  const by_value = regressions.at(-1)?.by_value;
  if (by_value === undefined) return html``;
  const columns = ["Pearson", "95% interval", "Spearman", "squared error", "always the mean"];
  return html`
    <section>
      <h2>Values</h2>
      ${dataTable(
        "value",
        columns.map((head) => [head, "number"] as const),
        by_value.map(({ pearson, pearson_interval, spearmanr, mse, variance }, k) => [
          run.labels[k],
          correlation(pearson),
          pearson_interval?.map(correlation).join(" to ") ?? "–",
          correlation(spearmanr),
          mse.toPrecision(3),
          variance.toPrecision(3),
        ]),
      )}
    </section>
  `;
}

/** The texts that it was surest of and wrong about. */
function mistakesSection({ run, mistakes }: ClassifierRecord): Html {
  const values = run.problem_type === "regression";
  if (mistakes === undefined) return html``;
  const value = (value: string) => values ? String(Number(Number(value).toPrecision(4))) : value;
  const kind = values ? "number" : "text";
  const text = ({ text, pair }: Mistakes["lines"][number]) =>
    html`<bdi>${text}</bdi>${pair === undefined ? undefined : html`<br><bdi>${pair}</bdi>`}`;
  return html`
    <section>
      <h2>${values ? "Largest errors" : "Surest mistakes"}</h2>
      ${dataTable(
        "text",
        [["is", kind], ["answered", kind], ...(values ? [] : [["how sure", "number"] as const])],
        mistakes.lines.map((line) => [
          text(line),
          value(line.is),
          value(line.answered),
          ...(values ? [] : [orDash(line.probability ?? null, percent)]),
        ]),
      )}
      <p class="note">Texts of the validation file. Read them: some are labeled wrong, and others show what misleads it.</p>
    </section>
  `;
}

/** The confusion matrix: a row for each class, shaded by the share of the row. */
function matrix({ confusion }: Classification, labels: readonly string[]): Html {
  return html`
    <div class="scroll">
      <table class="matrix">
        <thead>
          <tr><th scope="col">is … answered as</th>${labels.map((label) =>
            html`<th scope="col" class="number">${label}</th>`
          )}</tr>
        </thead>
        <tbody>
    ${confusion.map((row, i) => {
      const total = row.reduce((a, b) => a + b, 0), share = (count: number) => (total === 0 ? null : count / total);
      return html`
        <tr><th scope="row">${labels[i]}</th>${row.map((count) => {
          const shade = new Html((45 * (share(count) ?? 0)).toFixed(0)); // text on more is hard to read
          return html`
            <td class="number"
              style="background: color-mix(in srgb, var(--run-0) ${shade}%, transparent)">${grouped(
                count,
              )} <small>${orDash(share(count), percent)}</small></td>
          `;
        })}</tr>
      `;
    })}</tbody>
      </table>
    </div>
  `;
}

/** The pairs of classes that are taken for each other most often. */
function frequentConfusions({ confusion }: Classification, labels: readonly string[]): Html {
  const pairs = confusion.flatMap((row, i) => row.map((count, j) => ({ count, is: labels[i], said: labels[j], i, j })))
    .filter(({ count, i, j }) => i !== j && count > 0).sort((a, b) => b.count - a.count).slice(0, MOST_CLASSES);
  return dataTable(
    "is",
    [["answered as", "text"], ["times", "number"]],
    pairs.map(({ is, said, count }) => [is, said, grouped(count)]),
  );
}

function settingsSection(record: ClassifierRecord): Html {
  const { path, run } = record, { engine, versions, finetuning } = run;
  const about = (file: LabeledFile) => {
    const { path, texts, cut_off, sha256 } = file;
    return html`<code>${path}</code>, ${counted(texts, recordOf(record))}, ${
      cut_off === 0 ? "none" : `${grouped(cut_off)} (${percent(cut_off / Math.max(1, texts))})`
    } cut off at ${grouped(finetuning.max_sequence_length)} tokens${
      unknownWords(file)
    }; SHA-256 <code>${sha256}</code>`;
  };
  return html`
    <section>
      <h2>To repeat it</h2>
      <p>In <code>${run.folder}</code>:</p>
      <pre>${commandText(run.command)}</pre>
      ${factsTable([
        ["folder of the classifier", html`<code>${path}</code>`],
        ["pretrained model", html`<code>${run.model}</code>`],
        ["training file", about(run.train)],
        ["validation file", about(run.valid)],
        ["engine", `${engine.dtype}, ${engine.instruction_set}, ${counted(engine.threads, "thread")}`],
        ["parameters", grouped(engine.parameter_count)],
        ["versions", `cloze ${versions.cloze}, Deno ${versions.deno}, ${versions.platform}`],
        ["begun", moment(run.created)],
      ])}
      <details><summary>Configuration</summary>
        ${factsTable(Object.entries(finetuning).map(([name, value]) => [name, String(value)]))}
      </details>
    </section>
  `;
}

/** How many words of a file became `[UNK]`, where that is recorded. */
function unknownWords({ words, unknown_words }: LabeledFile): string {
  if (!(Number(words) > 0) || typeof unknown_words !== "number") return "";
  const share = unknown_words / words!;
  return unknown_words === 0
    ? ", no word [UNK]"
    : `, ${share < 0.001 ? "under 0.1%" : percent(share)} of the words [UNK]`;
}
