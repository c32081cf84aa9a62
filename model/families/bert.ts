/** BERT (Devlin et al., 2019), as transformers' BertConfig has it. */

import { BERT_DEFAULTS } from "../../config/model_config.ts";
import type { Family } from "../family.ts";

/** The activations that the core has, under transformers' names. */
const HIDDEN_ACTS = ["gelu", "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "relu", "relu2", "silu", "swish"];

/** The family whose `model_type` is `bert`. */
export const bert: Family = {
  model_type: "bert",
  architectures: {
    BertForMaskedLM: "mlm",
    BertForPreTraining: "mlm+nsp",
    BertForNextSentencePrediction: "next_sentence_prediction",
    BertLMHeadModel: "clm",
    BertForSequenceClassification: "sequence_classification",
    BertForTokenClassification: "token_classification",
    BertModel: "none",
  },
  left_to_right_classifier: "cloze_left_to_right_classifier",
  defaults: BERT_DEFAULTS,
  limits: {
    hidden_act: {
      fine: (value) => HIDDEN_ACTS.includes(value as string),
      expected: `it has to be one of ${HIDDEN_ACTS.join(", ")}`,
      hint: "use a model with one of these activations",
    },
    position_embedding_type: {
      fine: (value) => value === "absolute",
      expected: `only "absolute" is supported`,
      hint: "use a model with learned positions",
    },
    // Of BERT's first release.
    directionality: {
      fine: (value) => value === "bidi",
      expected: `only "bidi" is supported`,
      hint: "use another model",
    },
    pooler_type: {
      fine: (value) => value === "first_token_transform",
      expected: `only "first_token_transform" is supported`,
      hint: "use another model",
    },
  },
  written: { position_embedding_type: "absolute" },
};
