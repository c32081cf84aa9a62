/** What a model is trained for. */

/**
 * Objectives of pretraining: masked LM (`BertForMaskedLM`), masked LM and next sentence (`BertForPreTraining`), and left to
 * right (`BertLMHeadModel`), the fair baseline of Devlin et al. (2019), appendix C.1.
 */
export const PRETRAINING_OBJECTIVES = ["mlm", "mlm+nsp", "clm"] as const;

/** A name in {@linkcode PRETRAINING_OBJECTIVES}. */
export type PretrainingObjective = typeof PRETRAINING_OBJECTIVES[number];

/** What an engine is opened for; the core's names. */
export type Objective =
  | PretrainingObjective
  | {
    sequence_classification: {
      num_labels: number;
      /** Between pooler and classifier. */
      classifier_dropout: number;
      /** Whether only pooler and classifier are trained. */
      freeze_encoder: boolean;
      /** Whether attention is causal and the last token is pooled. */
      left_to_right: boolean;
    };
  };
