/**
 * The claims that `cloze reproduce` checks: who made them, which runs they compare, what they predict. Knows no file and no
 * engine: a run is what it is given of the options of `cloze pretrain` and `cloze finetune`, under their flags' names.
 */

import type { Expectation } from "./verdict.ts";

/** One way to pretrain. */
export interface Condition {
  name: string;
  /** In words, for tables. */
  label: string;
  /** What it adds to the options that all conditions share. */
  pretrain: ConditionOptions;
  /** Whether its models read from left to right only. */
  is_decoder?: true;
}

/** Options of `cloze pretrain` in which conditions differ. */
export interface ConditionOptions {
  objective?: string;
  "mask-shares"?: [number, number, number];
  "mlm-probability"?: number;
  "static-masking"?: true;
}

/**
 * The condition whose model before any training is also this one's: the first that reads in the same direction. Whatever
 * else conditions differ in, objectives on tokens and masks, leaves no trace at random initialization.
 */
export function sameStart(conditions: readonly Condition[], condition: Condition): Condition {
  return conditions.find(({ is_decoder }) => is_decoder === condition.is_decoder)!;
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
  /** Options of `cloze finetune`; a claim without them is about the held-out blanks that the models fill. */
  finetune?: { probe?: true };
  /** Points of training at which models are compared, as shares of its steps. */
  checkpoints: number[];
  /** Passes over the text before which the conditions do not differ. */
  least_epochs?: number;
}

const CURVE = [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1];
/** Filling blanks costs little, and a crossing is to be found. */
const DENSE_CURVE = [1, 2, 3, 4, 6, 8, 10, 12, 14, 16].map((sixteenths) => sixteenths / 16);
const END = [1];

/** By name of the experiment. */
export const CLAIMS = {
  convergence: {
    text: "Masked LM converges slower than left-to-right training, but outperforms it after a small number of steps.",
    source: "Devlin et al., 2019 (BERT), appendix C.1 and figure 5",
    measure:
      "accuracy after fine-tuning from equal pretraining steps; the losses of the two objectives are means over " +
      "different tokens seen with different context, so they cannot be compared",
    conditions: [
      { name: "mlm", label: "masked LM", pretrain: { objective: "mlm" } },
      { name: "clm", label: "left to right", pretrain: { objective: "clm" }, is_decoder: true },
    ],
    expectations: [
      { text: "left-to-right is ahead at the first checkpoint", better: "clm", than: "mlm", at: "first" },
      { text: "masked LM is ahead at the last one", better: "mlm", than: "clm", at: "last" },
    ],
    finetune: {},
    checkpoints: CURVE,
  },
  blanks: {
    text: "Masked LM converges slower than left-to-right training, but outperforms it after a small number of steps.",
    source: "Devlin et al., 2019 (BERT), appendix C.1 and figure 5",
    measure:
      "the same held-out blanks, each alone in its text, filled by masked models from both sides and by left-to-right " +
      "ones from their left, after equal pretraining steps",
    conditions: [
      { name: "mlm", label: "masked LM", pretrain: { objective: "mlm" } },
      { name: "clm", label: "left to right", pretrain: { objective: "clm" }, is_decoder: true },
    ],
    expectations: [
      { text: "left-to-right has the lower loss at the first checkpoint", better: "clm", than: "mlm", at: "first" },
      { text: "masked LM has the lower loss at the last one", better: "mlm", than: "clm", at: "last" },
    ].flatMap((loss): Expectation[] => [
      { ...loss, in: "loss" } as Expectation,
      { ...loss, text: loss.text.replace("has the lower loss", "fills more of them right") } as Expectation,
    ]),
    checkpoints: DENSE_CURVE,
  },
  masking: {
    text: "Always masking the chosen tokens, instead of masking 80%, replacing 10% and keeping 10%, hurts where the " +
      "encoder is used as it is.",
    source: "Devlin et al., 2019 (BERT), appendix C.2 and table 8",
    measure: "Accuracy of a classifier on the frozen encoder, which meets no [MASK] in its texts",
    conditions: [
      { name: "mixed", label: "80/10/10", pretrain: { "mask-shares": [0.8, 0.1, 0.1] } },
      { name: "mask-only", label: "100/0/0", pretrain: { "mask-shares": [1, 0, 0] } },
    ],
    expectations: [{ text: "80/10/10 is ahead of 100/0/0", better: "mixed", than: "mask-only", at: "last" }],
    finetune: { probe: true },
    checkpoints: END,
  },
  "mask-rate": {
    text: "Masking 40% of the tokens gives a better encoder than masking 15%.",
    source: "Wettig et al., 2023 (Should You Mask 15% in Masked Language Modeling?), for large models",
    measure: "Accuracy after fine-tuning from equal pretraining steps",
    conditions: [
      { name: "fifteen", label: "15% masked", pretrain: { "mlm-probability": 0.15 } },
      { name: "forty", label: "40% masked", pretrain: { "mlm-probability": 0.4 } },
    ],
    expectations: [{ text: "40% is ahead of 15%", better: "forty", than: "fifteen", at: "last" }],
    finetune: {},
    checkpoints: END,
  },
  nsp: {
    text: "Next-sentence prediction beside masked LM gives a better encoder than masked LM alone.",
    source:
      "Devlin et al., 2019 (BERT), section 5.1 and table 5; Liu et al., 2019 (RoBERTa), table 2 found the contrary",
    measure: "Accuracy after fine-tuning from equal pretraining steps",
    conditions: [
      { name: "with-nsp", label: "MLM and NSP", pretrain: { objective: "mlm+nsp" } },
      { name: "without-nsp", label: "MLM alone", pretrain: { objective: "mlm" } },
    ],
    expectations: [{ text: "MLM and NSP is ahead of MLM alone", better: "with-nsp", than: "without-nsp", at: "last" }],
    finetune: {},
    checkpoints: END,
  },
  dynamic: {
    text: "Masks that change every epoch are at least as good as masks that stay.",
    source: "Liu et al., 2019 (RoBERTa), section 4.1 and table 1",
    measure: "Accuracy after fine-tuning from equal pretraining steps; half a point less still counts as good",
    conditions: [
      { name: "dynamic", label: "dynamic masks", pretrain: {} },
      { name: "static", label: "static masks", pretrain: { "static-masking": true } },
    ],
    expectations: [
      { text: "dynamic is not behind static", better: "dynamic", than: "static", at: "last", margin: 0.005 },
    ],
    finetune: {},
    checkpoints: END,
    least_epochs: 2,
  },
} satisfies Record<string, Claim>;
