/**
 * How far a fine-tuning has come, and how many epochs the next one should have. Called by the finetune command and by
 * classifier_verdict.ts.
 */

import { percent } from "../config/numbers.ts";
import type { Classification, ClassifierRecord, ClassifierStage } from "./classifier_record.ts";
import { accuracyOf, commonest } from "./classifier_words.ts";
import { regressionStage } from "./regression.ts";

/** Training accuracy above that of the validation file by more than this: overfitting. */
export const GAP = 0.1;
/** An epoch that brings less than this share of what was gained on guessing changes little. */
const LEVEL = 0.05;

/** The evaluation of a fine-tuning that was better than its last one by more than chance. */
export function betterBefore(evaluations: readonly Classification[]): Classification | undefined {
  const last = evaluations.at(-1)!, best = evaluations.reduce((a, b) => (b.accuracy > a.accuracy ? b : a));
  return best.accuracy_interval[0] > last.accuracy ? best : undefined;
}

/** Judges a fine-tuning; nothing where it was measured on the validation file alone, or not at all. */
export function classifierStage(record: ClassifierRecord): ClassifierStage | undefined {
  const { run, evaluations, onTraining } = record;
  if (run.problem_type === "regression") return regressionStage(record);
  const last = evaluations.at(-1), { epochs } = run.finetuning;
  if (last === undefined || onTraining === undefined) return undefined;
  if (last.accuracy_interval[0] <= last.majority) {
    const right = run.problem_type === "multi_label_classification" ? accuracyOf(record) : "right";
    const why = `${right} in ${percent(last.accuracy)}, and always saying ${commonest(record)} is in ${
      percent(last.majority)
    }`;
    return { stage: "not yet", why, epochs: 3 * epochs };
  }
  const best = betterBefore(evaluations);
  if (best !== undefined) {
    const epoch = evaluations.indexOf(best) + 1;
    const why = `${percent(best.accuracy)} after epoch ${epoch}, and ${percent(last.accuracy)} at the end`;
    return { stage: "overfitting", why, epochs: epoch };
  }
  if (onTraining.accuracy - last.accuracy > GAP) {
    const why = `${percent(onTraining.accuracy)} right on its training file, ${percent(last.accuracy)} on the other; ` +
      "more labels would help most";
    return { stage: "overfitting", why };
  }
  const before = evaluations.at(-2);
  if (before === undefined) return { stage: "learning", why: "one epoch shows no course", epochs: 3 * epochs };
  const gained = last.accuracy - last.majority, share = (last.accuracy - before.accuracy) / gained;
  return share < LEVEL
    ? {
      stage: "levelling off",
      why: `its last epoch brought ${percent(Math.max(0, share))} of what it gained on guessing`,
    }
    : {
      stage: "learning",
      why: `its last epoch brought ${percent(share)} of what it gained on guessing`,
      epochs: 2 * epochs,
    };
}
