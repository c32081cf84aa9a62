/** DistilBERT (Sanh et al., 2019), as transformers' DistilBertConfig has it. */

import { BERT_DEFAULTS } from "../../config/model_config.ts";
import { type Family, NOT_CAUSAL } from "../family.ts";
import { bert } from "./bert.ts";

/** The family whose `model_type` is `distilbert`. Sinusoidal positions are a table of values like any other. */
export const distilbert: Family = {
  model_type: "distilbert",
  architectures: {
    DistilBertForMaskedLM: "mlm",
    DistilBertForSequenceClassification: "sequence_classification",
    DistilBertForTokenClassification: "token_classification",
    DistilBertModel: "none",
  },
  defaults: { ...BERT_DEFAULTS, model_type: "distilbert", type_vocab_size: 1 },
  names: {
    hidden_size: "dim",
    num_hidden_layers: "n_layers",
    num_attention_heads: "n_heads",
    intermediate_size: "hidden_dim",
    hidden_dropout_prob: "dropout",
    attention_probs_dropout_prob: "attention_dropout",
    hidden_act: "activation",
    type_vocab_size: null,
    layer_norm_eps: null,
  },
  classifier_dropout: { field: "seq_classif_dropout", otherwise: 0.2 },
  limits: {
    activation: bert.limits.hidden_act,
    is_decoder: NOT_CAUSAL,
  },
  written: {},
};
