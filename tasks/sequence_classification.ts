/**
 * Sequence classification (Devlin et al., 2019, section 4.1): a text gets one of several classes. As a probe the encoder
 * stays as it is, and only pooler and classifier are trained.
 */

import { type LabeledSequence, packLabeled } from "../config/batch.ts";
import type { ClassifierEvaluation, RegressionEvaluation, ValueResult } from "../config/metric.ts";
import { grouped, orDash, percent } from "../config/numbers.ts";
import { Confusion } from "./confusion.ts";
import { EVALUATION_SEQUENCES, type FinetuningTask, labeledLimits, rowAnswer } from "./finetuning_task.ts";

/** A sequence with the number of its class. */
export type ClassifiedSequence = LabeledSequence & { label: number };

/** `BertForSequenceClassification`. The loss is the mean over sequences. */
export const SEQUENCE_CLASSIFICATION: FinetuningTask<ClassifiedSequence> = {
  predicted: ({ sequence_labels }) => sequence_labels.length,
  sequenceWeight: () => 1,
  trained: ({ sequence_loss_sum, sequences_correct, sequences }) => ({
    loss: sequence_loss_sum / sequences,
    accuracy: sequences_correct / sequences,
  }),
  limits: (config) => ({ ...labeledLimits(config), max_masked: 1 }),
  pack: packLabeled,
  async evaluate(engine, sequences, { length: classes }, signal) {
    const confusion = new Confusion(classes);
    let sum = 0;
    for (let from = 0; from < sequences.length; from += EVALUATION_SEQUENCES) {
      signal.throwIfAborted();
      const part = sequences.slice(from, from + EVALUATION_SEQUENCES);
      const logits = await engine.sequenceLogits(packLabeled(part), classes);
      part.forEach(({ label }, b) => {
        const { loss, answer } = rowAnswer(logits.subarray(b * classes, (b + 1) * classes), label);
        confusion.add(label, answer);
        sum += loss;
      });
    }
    return { loss: sum / sequences.length, ...confusion.result };
  },
};

/** An evaluation of values in a line, next to what always answering their mean gets. */
export function regressionLine(evaluation: RegressionEvaluation): string {
  const { by_value, count } = evaluation;
  const of = by_value === undefined ? "" : `mean of ${by_value.length} values: `;
  return of + valueLine(evaluation, ` on ${grouped(count)}`);
}

/** The figures of a value in a line. */
export function valueLine({ pearson, pearson_interval, spearmanr, mse, variance }: ValueResult, on = ""): string {
  const interval = pearson_interval === null
    ? ""
    : ` (95% interval ${pearson_interval.map((r) => r.toFixed(3)).join(" to ")})`;
  return `Pearson ${orDash(pearson, (r) => r.toFixed(3))}${interval}, Spearman ${
    orDash(spearmanr, (r) => r.toFixed(3))
  }, mean squared error ${mse.toPrecision(3)}${on}; always the mean: ${variance.toPrecision(3)}`;
}

/** An evaluation in a line, next to what always answering the commonest class gets. */
export function classificationLine(evaluation: ClassifierEvaluation): string {
  const { accuracy, accuracy_interval, macro_f1, macro_f1_interval, majority, loss, count, entities } = evaluation;
  if (evaluation.micro_f1 !== undefined) {
    return `all labels right ${percent(accuracy)} (95% interval ${accuracy_interval.map(percent).join("–")}), ` +
      `micro-F1 ${percent(evaluation.micro_f1)}, macro-F1 ${percent(macro_f1)} (${
        macro_f1_interval.map(percent).join("–")
      }), loss ${loss.toFixed(3)} on ${grouped(count)}; the commonest set of labels: ${percent(majority)}`;
  }
  const f1 = entities === undefined
    ? `macro-F1 ${percent(macro_f1)} (${macro_f1_interval.map(percent).join("–")})`
    : `entity F1 ${percent(entities.f1)} (precision ${percent(entities.precision)}, recall ${
      percent(entities.recall)
    }, ${grouped(entities.count)} there)`;
  return `accuracy ${percent(accuracy)} (95% interval ${accuracy_interval.map(percent).join("–")}), ${f1}, ` +
    `loss ${loss.toFixed(3)} on ${grouped(count)}; the commonest class: ${percent(majority)}`;
}
