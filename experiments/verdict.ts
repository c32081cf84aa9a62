/** From measured accuracies to a verdict on a claim. Knows no command and no file. */

import { accuracyDifference, type Estimate } from "./statistics.ts";

/** What a claim predicts: one condition is better than another at a point of training. */
export interface Expectation {
  /** In words, as part of the claim. */
  text: string;
  /** Name of the condition that should be better, and of the other. */
  better: string;
  than: string;
  /** Which checkpoint: the first or the last. */
  at: "first" | "last";
  /** `better` may be worse by this much (in accuracy) and the claim still holds: for claims of "no worse". */
  margin?: number;
}

/** Whether the data decides it, and how. */
export type Verdict = "supported" | "not supported" | "not decidable at this size";

/** An expectation with what was found. */
export interface Finding {
  expectation: Expectation;
  /** Accuracy of `better` minus accuracy of `than`, over seeds. */
  difference: Estimate;
  verdict: Verdict;
}

/** What was measured. */
export interface Measured {
  /** Of each condition: `[checkpoint][seed]`. */
  accuracies: Record<string, number[][]>;
  /** Of each condition: `[seed]`, the same without any pretraining. */
  untrained: Record<string, number[]>;
  /** Size of the validation set that the accuracies are of. */
  examples: number;
}

/** Decides an expectation by whether the 95% interval of the difference excludes what contradicts it. */
export function decide(expectation: Expectation, { accuracies, examples }: Measured): Finding {
  const at = (condition: string) => accuracies[condition].at(expectation.at === "first" ? 0 : -1)!;
  const difference = accuracyDifference(at(expectation.better), at(expectation.than), examples);
  const [low, high] = difference.interval;
  const bound = -(expectation.margin ?? 0);
  const verdict = low > bound ? "supported" : high < bound ? "not supported" : "not decidable at this size";
  return { expectation, difference, verdict };
}

/** A claim holds if all that it predicts does, and fails if any of it fails. */
export function overall(findings: readonly Finding[]): Verdict {
  if (findings.some((finding) => finding.verdict === "not supported")) return "not supported";
  return findings.every((finding) => finding.verdict === "supported") ? "supported" : "not decidable at this size";
}
