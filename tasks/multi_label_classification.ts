/** Classification where a text may have any number of labels: each one's probability is its own, a sigmoid. */

import { type LabeledSequence, packLabeled } from "../config/batch.ts";
import type { ClassificationResult, ClassifierEvaluation, Mistakes, MultiLabelResult } from "../config/metric.ts";
import { EVALUATION_SEQUENCES, type FinetuningTask, labeledLimits } from "./finetuning_task.ts";
import { toldMistakes, type ToldText } from "./surest_mistakes.ts";
import type { Answering } from "./task.ts";
import { wilson } from "./tally.ts";

/** A sequence with a number for each output. */
export type TargetedSequence = LabeledSequence & { targets: readonly number[] };

/** What tasks on texts with targets have in common. */
export const TARGETED: Pick<FinetuningTask<TargetedSequence>, "predicted" | "sequenceWeight" | "limits" | "pack"> = {
  predicted: ({ cu_seqlens }) => cu_seqlens.length - 1,
  sequenceWeight: () => 1,
  limits: (config) => ({ ...labeledLimits(config), max_masked: 1 }),
  pack: packLabeled,
};

/** Calls `row` with each sequence's outputs. @throws the signal's reason. */
export async function forOutputs(
  engine: Answering,
  sequences: readonly TargetedSequence[],
  outputs: number,
  signal: AbortSignal,
  row: (outputs: Float32Array, i: number) => void,
): Promise<void> {
  for (let from = 0; from < sequences.length; from += EVALUATION_SEQUENCES) {
    signal.throwIfAborted();
    const part = sequences.slice(from, from + EVALUATION_SEQUENCES);
    const logits = await engine.sequenceLogits(packLabeled(part), outputs);
    part.forEach((_, b) => row(logits.subarray(b * outputs, (b + 1) * outputs), from + b));
  }
}

/** `BertForSequenceClassification` of `problem_type` multi_label_classification. The loss is the mean over texts and labels. */
export const MULTI_LABEL_CLASSIFICATION: FinetuningTask<TargetedSequence> = {
  ...TARGETED,
  trained: ({ sequence_loss_sum, sequences_correct, sequences }) => ({
    loss: sequence_loss_sum / sequences,
    accuracy: sequences_correct / sequences,
  }),
  async evaluate(engine, sequences, { length: k }, signal): Promise<ClassifierEvaluation> {
    const answers: boolean[][] = [];
    let sum = 0;
    await forOutputs(engine, sequences, k, signal, (row, i) => {
      const { targets } = sequences[i];
      row.forEach((x, j) => sum += Math.max(x, 0) - x * targets[j] + Math.log1p(Math.exp(-Math.abs(x))));
      answers.push(Array.from(row, (x) => x > 0));
    });
    const truth = sequences.map(({ targets }) => targets.map((target) => target > 0.5));
    return { loss: sum / (sequences.length * k), ...multiLabelResult(truth, answers) };
  },
};

/** Compares sets of labels, as scikit-learn does: a label that is neither there nor answered has an F1 of 0. */
export function multiLabelResult(
  truth: readonly (readonly boolean[])[],
  answers: readonly (readonly boolean[])[],
): ClassificationResult & MultiLabelResult {
  const n = truth.length, labels = truth[0].map((_, k) => k);
  const by_label = labels.map((k) => {
    const count = (holds: (i: number) => boolean) => truth.reduce((sum, _, i) => sum + Number(holds(i)), 0);
    return {
      there: count((i) => truth[i][k]),
      said: count((i) => answers[i][k]),
      right: count((i) => truth[i][k] && answers[i][k]),
    };
  });
  const f1 = by_label.map(({ there, said, right }) => there + said === 0 ? 0 : 2 * right / (there + said));
  const total = (of: "there" | "said" | "right") => by_label.reduce((sum, label) => sum + label[of], 0);
  const macro_f1 = f1.reduce((a, b) => a + b, 0) / labels.length;
  const same = answers.filter((answer, i) => answer.every((holds, k) => holds === truth[i][k])).length;
  const sets = new Map<string, number>();
  for (const text of truth) sets.set(text.join(), (sets.get(text.join()) ?? 0) + 1);
  // What each text adds to macro-F1, to first order; its variance over texts is that of the mean.
  const pulls = truth.map((text, i) =>
    labels.reduce((sum, k) => {
      const { there, said } = by_label[k], [t, a] = [Number(text[k]), Number(answers[i][k])];
      return there + said === 0 ? sum : sum + n * (2 * t * a - f1[k] * (t + a)) / (there + said) / labels.length;
    }, 0)
  );
  const half = 1.959964 * Math.sqrt(pulls.reduce((sum, pull) => sum + pull ** 2, 0)) / n;
  return {
    accuracy: same / n,
    accuracy_interval: wilson(same, n),
    macro_f1,
    macro_f1_interval: [Math.max(0, macro_f1 - half), Math.min(1, macro_f1 + half)],
    micro_f1: total("there") + total("said") === 0 ? 0 : 2 * total("right") / (total("there") + total("said")),
    majority: Math.max(...sets.values()) / n,
    count: n,
    confusion: [],
    by_label,
  };
}

/** The texts with the label that is most surely wrong. */
export async function surestWrongLabels(
  engine: Answering,
  texts: readonly ToldText[],
  sequences: readonly TargetedSequence[],
  labels: readonly string[],
  signal: AbortSignal,
): Promise<Mistakes["lines"]> {
  const found: Parameters<typeof toldMistakes>[1] = [];
  const named = (holds: (k: number) => boolean) => labels.filter((_, k) => holds(k)).join(", ") || "none";
  await forOutputs(engine, sequences, labels.length, signal, (row, i) => {
    const { targets } = sequences[i];
    const wrong = row.reduce((most, x, k) => (x > 0) === (targets[k] > 0.5) ? most : Math.max(most, Math.abs(x)), -1);
    if (wrong < 0) return;
    const [is, answered] = [named((k) => targets[k] > 0.5), named((k) => row[k] > 0)];
    found.push({ i, is, answered, how: wrong, probability: 1 / (1 + Math.exp(-wrong)) });
  });
  return toldMistakes(texts, found);
}
