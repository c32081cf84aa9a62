/** Regression: a text gets a value. The model's output is the value itself. */

import type { Mistakes, RegressionEvaluation } from "../config/metric.ts";
import type { FinetuningTask } from "./finetuning_task.ts";
import { forOutputs, TARGETED, type TargetedSequence } from "./multi_label_classification.ts";
import { toldMistakes, type ToldText } from "./surest_mistakes.ts";
import type { Answering } from "./task.ts";

/** `BertForSequenceClassification` of `problem_type` regression with one output. The loss is the mean squared error. */
export const REGRESSION: FinetuningTask<TargetedSequence, RegressionEvaluation> = {
  ...TARGETED,
  measure: "regression",
  trained: ({ sequence_loss_sum, sequences }) => ({ loss: sequence_loss_sum / sequences }),
  async evaluate(engine, sequences, _, signal) {
    return regressionResult(sequences.map(({ targets }) => targets[0]), await values(engine, sequences, signal));
  },
};

async function values(engine: Answering, sequences: readonly TargetedSequence[], signal: AbortSignal) {
  const found: number[] = [];
  await forOutputs(engine, sequences, 1, signal, ([value]) => void found.push(value));
  return found;
}

/** Compares values with the truth. */
export function regressionResult(truth: readonly number[], found: readonly number[]): RegressionEvaluation {
  const n = truth.length, center = mean(truth);
  const mse = mean(truth.map((t, i) => (found[i] - t) ** 2));
  const pearson = correlation(truth, found);
  let pearson_interval: [number, number] | null = null;
  if (pearson !== null && n > 3) {
    const z = Math.atanh(Math.max(-1 + 1e-12, Math.min(1 - 1e-12, pearson))), half = 1.959964 / Math.sqrt(n - 3);
    pearson_interval = [Math.tanh(z - half), Math.tanh(z + half)];
  }
  return {
    loss: mse,
    mse,
    pearson,
    pearson_interval,
    spearmanr: correlation(ranks(truth), ranks(found)),
    variance: mean(truth.map((t) => (t - center) ** 2)),
    count: n,
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
  _: readonly string[],
  signal: AbortSignal,
): Promise<Mistakes["lines"]> {
  const found = (await values(engine, sequences, signal)).map((value, i) => {
    const [is] = sequences[i].targets;
    return { i, is: String(is), answered: value.toFixed(3), how: Math.abs(value - is) };
  });
  return toldMistakes(texts, found.filter(({ how }) => how > 0));
}
