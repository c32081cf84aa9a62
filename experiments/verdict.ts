/** From measured accuracies to a verdict on a claim. Knows no command and no file. */

import { accuracyDifference, type Estimate, lossDifference } from "./statistics.ts";

/** What a claim predicts: one condition is better than another at a point of training. */
export interface Expectation {
  /** In words, as part of the claim. */
  text: string;
  /** Name of the condition that should be better, and of the other. */
  better: string;
  than: string;
  /** Which checkpoint: the first or the last. */
  at: "first" | "last";
  /** What is compared: accuracies, unless it is the loss. */
  in?: "loss";
  /** `better` may be worse by this much (in accuracy) and the claim still holds: for claims of "no worse". */
  margin?: number;
}

/** Whether the data decides it, and how. */
export type Verdict = "supported" | "not supported" | "not decidable at this size";

/** An expectation with what was found. */
export interface Finding {
  expectation: Expectation;
  /** Accuracy of `better` minus accuracy of `than`, over seeds; of losses, in nats, that of `than` minus that of `better`. */
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
  /** What always the commonest answer gets on it; older records do not say. */
  commonest?: number;
  /** Where blanks are filled: the same as of accuracies, in nats a blank. */
  losses?: Record<string, Loss[][]>;
  /** What guessing by frequency costs, in nats a blank. */
  guessing_loss?: number;
}

/** A mean loss with its standard error over the blanks. */
export interface Loss {
  mean: number;
  error: number;
}

/** Decides an expectation by whether the 95% interval of the difference excludes what contradicts it. */
export function decide(expectation: Expectation, measured: Measured): Finding {
  const difference = differenceAt(expectation, measured, expectation.at === "first" ? 0 : -1);
  const [low, high] = difference.interval;
  const bound = -(expectation.margin ?? 0);
  const verdict = low > bound ? "supported" : high < bound ? "not supported" : "not decidable at this size";
  return { expectation, difference, verdict };
}

/** By how much `better` is better at a checkpoint; they are counted from the end where the index is negative. */
export function differenceAt(
  { better, than, in: compared }: Pick<Expectation, "better" | "than" | "in">,
  { accuracies, losses, examples }: Measured,
  at: number,
): Estimate {
  return compared === "loss"
    ? lossDifference(losses![than].at(at)!, losses![better].at(at)!)
    : accuracyDifference(accuracies[better].at(at)!, accuracies[than].at(at)!, examples);
}

/** A claim holds if all that it predicts does, and fails if any of it fails. */
export function overall(findings: readonly Finding[]): Verdict {
  if (findings.some((finding) => finding.verdict === "not supported")) return "not supported";
  return findings.every((finding) => finding.verdict === "supported") ? "supported" : "not decidable at this size";
}
