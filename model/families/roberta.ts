/**
 * RoBERTa (Liu et al., 2019), XLM-R (Conneau et al., 2020) and CamemBERT (Martin et al., 2020), as transformers'
 * RobertaConfig, XLMRobertaConfig and CamembertConfig have them: the same in all but the names of their classes.
 */

import { BERT_DEFAULTS } from "../../config/model_config.ts";
import { type Family, NOT_CAUSAL } from "../family.ts";
import { bert } from "./bert.ts";

/** @param prefix of the names of the classes. */
function family(model_type: string, prefix: string): Family {
  return {
    model_type,
    architectures: {
      [`${prefix}ForMaskedLM`]: "mlm",
      [`${prefix}ForSequenceClassification`]: "sequence_classification",
      [`${prefix}ForTokenClassification`]: "token_classification",
      [`${prefix}Model`]: "none",
    },
    defaults: { ...BERT_DEFAULTS, model_type, pad_token_id: 1 },
    preset: { max_position_embeddings: 514, type_vocab_size: 1, layer_norm_eps: 1e-5 },
    // The first token's position is the one behind padding's.
    longest: ({ max_position_embeddings, pad_token_id }) => max_position_embeddings - pad_token_id - 1,
    limits: {
      hidden_act: bert.limits.hidden_act,
      position_embedding_type: bert.limits.position_embedding_type,
      is_decoder: NOT_CAUSAL,
    },
    written: {},
  };
}

/** The family whose `model_type` is `roberta`. */
export const roberta = family("roberta", "Roberta");
/** The family whose `model_type` is `xlm-roberta`. */
export const xlmRoberta = family("xlm-roberta", "XLMRoberta");
/** The family whose `model_type` is `camembert`. */
export const camembert = family("camembert", "Camembert");
