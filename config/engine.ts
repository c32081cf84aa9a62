/** What an engine is asked for and answers with, beside batches: which heads it has, and the sums that come of them. */

/** What stands on an engine's encoder, what attention sees, and what is trained. */
export interface EngineHeads {
  /** The head on tokens, if there is one. */
  tokens: TokenHead | null;
  /** The head on sequences, if there is one. */
  sequence: SequenceHead | null;
  /** Whether a token sees only itself and what stands before it. */
  is_decoder: boolean;
  /** Whether the encoder stays as it is. It then runs without dropout. */
  freeze_encoder: boolean;
}

/** A head on tokens: it predicts them, as that of `BertForMaskedLM`, or tells their classes, as `BertForTokenClassification`. */
export type TokenHead =
  | { kind: "masked_lm" }
  | {
    kind: "classification";
    num_labels: number;
    /** In front of the classifier. */
    classifier_dropout: number;
  };

/** A head that tells classes of sequences: pooler, dropout, dense layer. */
export interface SequenceHead {
  /** Which of Hugging Face's it is: of `BertForPreTraining`, or of `BertForSequenceClassification`. */
  kind: "next_sentence" | "classification";
  /** How many outputs, K. */
  num_labels: number;
  /** What they mean, and so which loss they have: cross-entropy, binary cross-entropy or squared error. */
  problem_type: "single_label_classification" | "multi_label_classification" | "regression";
  /** Between pooler and classifier. */
  classifier_dropout: number;
  /** Which token of a sequence is pooled. */
  pools: "first" | "last";
}

/** The heads of `BertForMaskedLM`. */
export const MASKED_LM: EngineHeads = {
  tokens: { kind: "masked_lm" },
  sequence: null,
  is_decoder: false,
  freeze_encoder: false,
};

/** Sums over batches. Losses in nats. */
export interface LossSums {
  /** Of the tokens to predict. */
  loss_sum: number;
  /** How many tokens were predicted. */
  masked: number;
  /** Right argmaxes among them. */
  correct: number;
  /** Of the head on sequences, if there is one. */
  sequence_loss_sum: number;
  /** How many of them. */
  sequences: number;
  /** Right argmaxes among them. */
  sequences_correct: number;
}

/** Loss (nats) and rank (0 is a right argmax) of each row's label, of both heads. */
export interface RowResults {
  /** `[M]` */
  row_loss: Float32Array;
  /** `[M]` */
  row_rank: Int32Array;
  /** `[B]` */
  sequence_loss: Float32Array;
  /** `[B]` */
  sequence_rank: Int32Array;
}
