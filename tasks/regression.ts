/** Regression: a text gets a value, or several. The model's outputs are the values themselves. */

import type { Mistakes, RegressionEvaluation, ValueResult } from "../config/metric.ts";
import type { FinetuningTask } from "./finetuning_task.ts";
import { forOutputs, TARGETED, type TargetedSequence } from "./multi_label_classification.ts";
import { toldMistakes, type ToldText } from "./surest_mistakes.ts";
import type { Answering } from "./task.ts";

/** `BertForSequenceClassification` of `problem_type` regression. The loss is the mean squared error over texts and values. */
export const REGRESSION: FinetuningTask<TargetedSequence, RegressionEvaluation> = {
  ...TARGETED,
  measure: "regression",
  trained: ({ sequence_loss_sum, sequences }) => ({ loss: sequence_loss_sum / sequences }),
  async evaluate(engine, sequences, { length: k }, signal) {
    const found: Float32Array[] = [];
    await forOutputs(engine, sequences, k, signal, (row) => void found.push(row));
    return regressionResult(sequences.map(({ targets }) => targets), found);
  },
};

/** Compares the values of texts with the true ones. */
export function regressionResult(
  truth: readonly (readonly number[])[],
  found: readonly ArrayLike<number>[],
): RegressionEvaluation {
  const by_value = truth[0].map((_, k) => valueResult(truth.map((of) => of[k]), found.map((of) => of[k])));
  const over = (of: (value: ValueResult) => number) => mean(by_value.map(of));
  const known = (of: (value: ValueResult) => number | null | undefined) => {
    const all = by_value.flatMap((value) => of(value) ?? []);
    return all.length === 0 ? null : mean(all);
  };
  const ends = [0, 1].map((end) => known(({ pearson_interval }) => pearson_interval?.[end]));
  const mse = over(({ mse }) => mse);
  return {
    loss: mse,
    mse,
    pearson: known(({ pearson }) => pearson),
    pearson_interval: ends[0] === null ? null : ends as [number, number],
    spearmanr: known(({ spearmanr }) => spearmanr),
    variance: over(({ variance }) => variance),
    ...(by_value.length > 1 ? { by_value } : {}),
    count: truth.length,
  };
}

function valueResult(truth: readonly number[], found: readonly number[]): ValueResult {
  const n = truth.length, center = mean(truth);
  const mse = mean(truth.map((t, i) => (found[i] - t) ** 2));
  const pearson = correlation(truth, found);
  let pearson_interval: [number, number] | null = null;
  if (pearson !== null && n > 3) {
    const z = Math.atanh(Math.max(-1 + 1e-12, Math.min(1 - 1e-12, pearson))), half = 1.959964 / Math.sqrt(n - 3);
    pearson_interval = [Math.tanh(z - half), Math.tanh(z + half)];
  }
  return {
    mse,
    pearson,
    pearson_interval,
    spearmanr: correlation(ranks(truth), ranks(found)),
    variance: mean(truth.map((t) => (t - center) ** 2)),
  };
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

function correlation(a: readonly number[], b: readonly number[]): number | null {
  const [ma, mb] = [mean(a), mean(b)];
  let ab = 0, aa = 0, bb = 0;
  a.forEach((x, i) => {
    ab += (x - ma) * (b[i] - mb);
    aa += (x - ma) ** 2;
    bb += (b[i] - mb) ** 2;
  });
  return aa > 0 && bb > 0 ? Math.max(-1, Math.min(1, ab / Math.sqrt(aa * bb))) : null;
}

/** From 1; equal values share the mean of theirs. */
function ranks(values: readonly number[]): number[] {
  const order = values.map((_, i) => i).sort((i, j) => values[i] - values[j]), found = new Array<number>(values.length);
  for (let from = 0, to = 0; from < order.length; from = to) {
    while (to < order.length && values[order[to]] === values[order[from]]) to++;
    for (let i = from; i < to; i++) found[order[i]] = (from + to + 1) / 2;
  }
  return found;
}

/** The texts whose values are furthest off. */
export async function largestErrors(
  engine: Answering,
  texts: readonly ToldText[],
  sequences: readonly TargetedSequence[],
  labels: readonly string[],
  signal: AbortSignal,
): Promise<Mistakes["lines"]> {
  const found: Parameters<typeof toldMistakes>[1] = [];
  await forOutputs(engine, sequences, labels.length, signal, (row, i) => {
    const { targets } = sequences[i], answered = Array.from(row, (value) => value.toFixed(3)).join(", ");
    found.push({ i, is: targets.join(", "), answered, how: mean(targets.map((is, k) => (row[k] - is) ** 2)) });
  });
  return toldMistakes(texts, found.filter(({ how }) => how > 0));
}
