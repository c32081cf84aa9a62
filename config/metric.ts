/**
 * What a run records: the lines of its `metrics.jsonl`, which `training/metrics.ts` writes and reads (docs/metrics.md). Types
 * only.
 */

import type { EntityScores } from "./entities.ts";

/** A line of `metrics.jsonl`. Losses in nats per predicted token. */
export type Metric =
  | {
    kind: "train";
    step: number;
    epoch: number;
    loss: number;
    /** Missing where values are predicted, which are never right. */
    accuracy?: number;
    /** Of the pairs, where the objective has next-sentence prediction; nats per pair. */
    nsp_loss?: number;
    nsp_accuracy?: number;
    learning_rate: number;
    grad_norm: number;
    tokens: number;
    tokens_per_second: number;
    elapsed_ms: number;
    /** Since the last line: at most so long did the engine wait for a batch. */
    data_wait_ms: number;
    /** The same, in what processes do together in updates, the adding up included, without the wait before each; missing where there is one. */
    exchange_ms?: number;
  }
  | ({ kind: "evaluation"; step: number; elapsed_ms: number } & Evaluation)
  | ({ kind: "classification"; split: "train" | "valid"; step: number; elapsed_ms: number } & ClassifierEvaluation)
  | ({ kind: "regression"; split: "train" | "valid"; step: number; elapsed_ms: number } & RegressionEvaluation)
  | RunStart
  | Blanks
  | Mistakes
  | Warning
  | {
    kind: "end";
    step: number;
    elapsed_ms: number;
    /** Whether it was asked to stop before its end. */
    interrupted: boolean;
    /** Most memory that the process had at a line of metrics, of which a GPU's is no part; older runs do not say. */
    memory_bytes?: number;
  };

/** What is known when a run begins, or goes on after `step`. */
export interface RunStart {
  kind: "start";
  step: number;
  elapsed_ms: number;
  /** ISO 8601. */
  time: string;
  /** As typed, and where. */
  command: string;
  folder: string;
  versions: { cloze: string; deno: string; platform: string };
  engine: { engine: string; instruction_set: string; threads: number; parameter_count: number };
  /** `sha256`: of everything that decides which ids a text becomes. */
  tokenizer: { size: number; lowercase: boolean; sha256: string };
  train: TextStatistics;
  held_out: TextStatistics;
  /** Share of the lines of both texts that an earlier line is equal to; `null` if they were not counted. */
  duplicate_share: number | null;
  /** Why words became `[UNK]`; missing if none did, or if it was not recorded. */
  unknown?: UnknownCauses;
  masking: MaskingStatistics;
  unigram: UnigramBaseline;
  /** Next-sentence prediction: accuracy of always giving the answer that is right more often. */
  nsp_majority?: number;
}

/** How the model fills the same blanks as at the other evaluations. */
export interface Blanks {
  kind: "blanks";
  step: number;
  elapsed_ms: number;
  lines: {
    /** With one `[MASK]`. */
    text: string;
    /** What stood there, if that is known. */
    answer?: string;
    /** Best first. */
    predictions: { token: string; probability: number }[];
  }[];
}

/** Texts of the validation file that a classifier is most certain of and wrong about, or values that are furthest off; the worst first. */
export interface Mistakes {
  kind: "mistakes";
  step: number;
  elapsed_ms: number;
  lines: {
    /** A long text is cut. */
    text: string;
    pair?: string;
    is: string;
    answered: string;
    /** Of the answer; of several labels, of the one that is most surely wrong. Missing where values are predicted. */
    probability?: number;
  }[];
}

/** What a watchdog noticed. */
export interface Warning {
  kind: "warning";
  step: number;
  elapsed_ms: number;
  rule:
    | "non_finite"
    | "plateau"
    | "repeated_text"
    | "data_stall"
    | "unknown_words"
    | "seen_text"
    | "nothing_held_out";
  message: string;
  hint: string;
}

/** Losses in nats per predicted token; predicted are the masked tokens, or every next token of a left-to-right model. */
export interface Evaluation {
  /** Mean over the predicted tokens. */
  loss: number;
  /** exp(loss) */
  perplexity: number;
  /** Share of predicted tokens whose most probable prediction is right. */
  accuracy: number;
  /** 95% interval of the accuracy (Wilson, 1927). */
  accuracy_interval: [number, number];
  /** Share of predicted tokens among the five most probable predictions. */
  top5_accuracy: number;
  /** How many tokens were predicted. */
  masked: number;
  /** Next-sentence prediction, where the objective has it. Loss in nats per pair. */
  nsp_loss?: number;
  /** Share of the pairs that are told right. */
  nsp_accuracy?: number;
  /** 95% interval of it (Wilson, 1927). */
  nsp_accuracy_interval?: [number, number];
  /** How many pairs. */
  nsp_pairs?: number;
  /** By the script of what was predicted, in a run that goes on from a model. */
  scripts?: { name: string; loss: number; accuracy: number; count: number }[];
  /** On other text, where a run has some. */
  reference?: Pick<Evaluation, "loss" | "accuracy" | "accuracy_interval" | "masked">;
}

/** What predicting every masked token from the training text's token frequencies gives. */
export interface UnigramBaseline {
  /** Entropy of the training text's distribution of tokens, nats; `null` if it has none. */
  entropy: number | null;
  /** Cross-entropy of the held-out labels under it (add-one smoothed), nats; `null` if there are none. */
  loss: number | null;
  /** Accuracy of always predicting the most frequent token; `null` if there is nothing to predict. */
  accuracy: number | null;
}

/** How a classifier's answers compare with the truth. */
export interface ClassificationResult {
  /** Share of the texts whose most probable class is right. */
  accuracy: number;
  /** 95% interval of the accuracy (Wilson, 1927). */
  accuracy_interval: [number, number];
  /** Mean of the classes' F1; one that is neither there nor predicted has none and is left out, as in scikit-learn. */
  macro_f1: number;
  /** 95% interval of macro-F1 by the delta method (Takahashi et al., 2022). */
  macro_f1_interval: [number, number];
  /** Share of the commonest class: what always answering it achieves. */
  majority: number;
  /** How many texts. */
  count: number;
  /** Texts, or words, by `[truth][answer]`; empty where a text has any number of labels. */
  confusion: number[][];
}

/** How often a label holds, is answered, and is both. */
export interface LabelCounts {
  there: number;
  said: number;
  right: number;
}

/** What is measured of labels of which a text may have any number; one holds where its probability is above one half. */
export interface MultiLabelResult {
  /** F1 over all labels of all texts together. */
  micro_f1: number;
  /** By the number of the label. */
  by_label: LabelCounts[];
}

/** How predicted values compare with the true ones, by the names of GLUE. */
export interface ValueResult {
  /** The mean squared error. */
  mse: number;
  /** Pearson's correlation with the truth, and its 95% interval (Fisher, 1921); `null` where one of the two never changes. */
  pearson: number | null;
  pearson_interval: [number, number] | null;
  /** Spearman's correlation: that of the ranks. */
  spearmanr: number | null;
  /** Mean squared error of always answering the mean of these values. */
  variance: number;
}

/**
 * A model that predicts a value of each text, or several: then the figures, and the ends of the interval, are means over
 * them, of a correlation over those that have one.
 */
export interface RegressionEvaluation extends ValueResult {
  /** The mean squared error, which is what it is trained on. */
  loss: number;
  /** By the number of the value, where there are several. */
  by_value?: ValueResult[];
  /** How many texts. */
  count: number;
}

/**
 * A classifier on labeled texts, or on the words of tagged ones. Loss in nats per text or word. Where a text may have any
 * number of labels it is right if all of them are, `majority` is the share of the commonest set of labels, and
 * {@linkcode MultiLabelResult} is there.
 */
export type ClassifierEvaluation = { loss: number } & ClassificationResult & Partial<MultiLabelResult> & {
  /** Where classes of words mark entities. */
  entities?: EntityScores;
};

/** A tokenized text in numbers. */
export interface TextStatistics {
  tokens: number;
  sentences: number;
  documents: number;
  /** SHA-256 of the shard's payload. */
  sha256: string;
  /**
   * Tokens per word, `null` without words. Words are tokens that begin one: as the pre-tokenizer cuts text, with its
   * punctuation marks; where tokens have the white space before them, what stands behind white space, and punctuation marks.
   */
  fertility: number | null;
  words: number;
  /** Words that became `[UNK]`; each is one token. */
  unknown_words: number;
  /** Share of the tokens that are `[UNK]`; `null` without tokens. */
  unknown_share: number | null;
  /** Tokens of the vocabulary that occur. */
  vocabulary_used: number;
  /** The most frequent tokens, with their share of the text. */
  most_frequent: { token: string; share: number }[];
}

/** What the collator did to held-out batches. */
export interface MaskingStatistics {
  sequences: number;
  /** Those that may be chosen: all but special tokens. */
  tokens: number;
  masked: number;
  /** Of the masked tokens: replaced by `[MASK]`, by another token, not replaced. Sums to 1; `null` if none is masked. */
  mask_share: number | null;
  random_share: number | null;
  kept_share: number | null;
}

/** Why words became `[UNK]`; shares are of these words. */
export interface UnknownCauses {
  /** Share that is longer than the tokenizer takes. */
  too_long: number;
  /** Share that would be known in lower case. */
  cased: number;
  /** Scripts of characters that no token stands for, with the share of words that have one and a few of them. */
  lacking: { script: string; share: number; characters: string[] }[];
  /** Some of the words, the most frequent first; long ones are cut. */
  examples: string[];
}
