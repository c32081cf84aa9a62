/**
 * The claims that `cloze reproduce` checks: who made them, which runs they compare, what they predict. Knows no file and no
 * engine: runs are told as flags of `cloze pretrain` and `cloze finetune`.
 */

import type { Expectation } from "./verdict.ts";

/** One way to pretrain. */
export interface Condition {
  name: string;
  /** In words, for tables. */
  label: string;
  /** What it adds to the flags that all conditions share. */
  flags: string[];
}

/** A claim of a paper, as an experiment of two conditions or more. */
export interface Claim {
  /** The claim, as close to its words as fits a line. */
  text: string;
  source: string;
  /** What is measured and why that is what the claim is about. */
  measure: string;
  conditions: Condition[];
  expectations: Expectation[];
  /** Flags of `cloze finetune`. */
  finetune: string[];
  /** Points of training at which models are compared, as shares of its steps. */
  checkpoints: number[];
}

const CURVE = [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1];

/** By name of the experiment. */
export const CLAIMS = {
  convergence: {
    text: "Masked LM converges slower than left-to-right training, but outperforms it after a small number of steps.",
    source: "Devlin et al., 2019 (BERT), appendix C.1 and figure 5",
    measure:
      "accuracy after fine-tuning from equal pretraining steps; the losses of the two objectives are means over " +
      "different tokens seen with different context, so they cannot be compared",
    conditions: [
      { name: "mlm", label: "masked LM", flags: ["--objective", "mlm"] },
      { name: "clm", label: "left to right", flags: ["--objective", "clm"] },
    ],
    expectations: [
      { text: "left-to-right is ahead at the first checkpoint", better: "clm", than: "mlm", at: "first" },
      { text: "masked LM is ahead at the last one", better: "mlm", than: "clm", at: "last" },
    ],
    finetune: [],
    checkpoints: CURVE,
  },
} satisfies Record<string, Claim>;
