/** What came of a fine-tuning that predicts values: how far it has come, and in words. Called by the classifier's files. */

import { grouped, orDash } from "../config/numbers.ts";
import type { ClassifierRecord, ClassifierStage, Regression } from "./classifier_record.ts";
import type { Finding } from "./verdict.ts";

/** An epoch that brings less than this share of what was gained changes little. */
const LEVEL = 0.05;
/** A squared error on the training file below this share of the other one's: overfitting. */
const MEMORIZED = 0.5;

export const correlation = (r: number | null): string => orDash(r, (r) => r.toFixed(3));

/** The share of the values' variance that a model explains; below 0 where always the mean is nearer. */
export function explained({ mse, variance }: Regression): number {
  return variance === 0 ? 0 : 1 - mse / variance;
}

/** Said behind figures that are means over several values. */
export const overValues = ({ by_value }: Regression): string =>
  by_value === undefined ? "" : `, the mean of ${by_value.length} values,`;

const share = (r2: number): string => `${(100 * r2).toFixed(1)}%`;

/** The best evaluation, where the last one lost much of what it had gained. */
function betterBefore(evaluations: readonly Regression[]): Regression | undefined {
  const last = evaluations.at(-1)!, best = evaluations.reduce((a, b) => (b.mse < a.mse ? b : a));
  return explained(best) - explained(last) > 2 * LEVEL * Math.max(0, explained(best)) ? best : undefined;
}

const hasLearned = (last: Regression) =>
  last.pearson_interval !== null && last.pearson_interval[0] > 0 && explained(last) > 0;

/** Judges a fine-tuning to values. */
export function regressionStage(
  { run, regressions, regressionOnTraining }: ClassifierRecord,
): ClassifierStage | undefined {
  const last = regressions.at(-1), { epochs } = run.finetuning;
  if (last === undefined || regressionOnTraining === undefined) return undefined;
  const errors = `its squared error is ${last.mse.toPrecision(3)}, and that of always the mean ${
    last.variance.toPrecision(3)
  }`;
  if (!hasLearned(last)) return { stage: "not yet", why: errors, epochs: 3 * epochs };
  const best = betterBefore(regressions);
  if (best !== undefined) {
    const epoch = regressions.indexOf(best) + 1;
    const why = `a squared error of ${best.mse.toPrecision(3)} after epoch ${epoch}, and ${
      last.mse.toPrecision(3)
    } at the end`;
    return { stage: "overfitting", why, epochs: epoch };
  }
  const before = regressions.at(-2);
  if (before === undefined) {
    return { stage: "learning", why: `one epoch shows no course; ${errors}`, epochs: 3 * epochs };
  }
  const brought = (explained(last) - explained(before)) / explained(last);
  const why = `its last epoch brought ${share(Math.max(0, brought))} of what it explains; ${errors}`;
  if (brought >= LEVEL) return { stage: "learning", why, epochs: 2 * epochs };
  return regressionOnTraining.mse < MEMORIZED * last.mse
    ? {
      stage: "overfitting",
      why: `a squared error of ${regressionOnTraining.mse.toPrecision(3)} on its training file, ${
        last.mse.toPrecision(3)
      } on the other; more labels would help most`,
    }
    : { stage: "levelling off", why };
}

/** The headline, and whether it is a good one. */
export function regressionHeadline(last: Regression): { headline: string; tone: "good" | "bad" } {
  const figures = `Pearson ${correlation(last.pearson)}${overValues(last)} on ${
    grouped(last.count)
  } texts, a squared error of ${last.mse.toPrecision(3)}; always the mean has ${last.variance.toPrecision(3)}`;
  return hasLearned(last)
    ? { headline: `It learned: ${figures}`, tone: "good" }
    : { headline: `Not better than guessing: ${figures}`, tone: "bad" };
}

/** What is found of the last evaluation. */
export function regressionFindings(
  { regressions, regressionOnTraining }: ClassifierRecord,
  last: Regression,
): Finding[] {
  const interval = last.pearson_interval === null
    ? ""
    : ` (95% interval ${last.pearson_interval.map(correlation).join(" to ")})`;
  const findings: Finding[] = [{
    tone: hasLearned(last) ? "good" : "bad",
    text: `${last.by_value === undefined ? "" : "On average over its values: "}Pearson ${
      correlation(last.pearson)
    }${interval}, Spearman ${
      correlation(last.spearmanr)
    }: how well its values go up and down with the true ones; 0 is chance.`,
  }, {
    tone: explained(last) > 0 ? "good" : "bad",
    text: `It explains ${share(explained(last))} of the variance of the values.`,
  }];
  const best = betterBefore(regressions);
  if (best !== undefined) {
    findings.push({
      tone: "bad",
      text: `It was better before: ${best.mse.toPrecision(3)} at update ${grouped(best.step)}. Fewer epochs may help.`,
    });
  }
  if (regressionOnTraining !== undefined) {
    const isFar = regressionOnTraining.mse < MEMORIZED * last.mse;
    findings.push({
      tone: isFar ? "bad" : "good",
      text: `${isFar ? "It overfits" : "No sign of overfitting"}: a squared error of ${
        regressionOnTraining.mse.toPrecision(3)
      } on its training file, ${last.mse.toPrecision(3)} on the other.`,
    });
  }
  return findings;
}
