/** Megatron's BERT (Shoeybi et al., 2019), as transformers' MegatronBertConfig has it: BERT with its norms in front. */

import { BERT_DEFAULTS } from "../../config/model_config.ts";
import type { Family } from "../family.ts";
import { bert } from "./bert.ts";

/** The family whose `model_type` is `megatron-bert`. */
export const megatronBert: Family = {
  model_type: "megatron-bert",
  architectures: {
    MegatronBertForMaskedLM: "mlm",
    MegatronBertForPreTraining: "mlm+nsp",
    MegatronBertForNextSentencePrediction: "next_sentence_prediction",
    MegatronBertForCausalLM: "clm",
    MegatronBertForSequenceClassification: "sequence_classification",
    MegatronBertForTokenClassification: "token_classification",
    MegatronBertModel: "none",
  },
  left_to_right_classifier: "cloze_left_to_right_megatron_classifier",
  defaults: { ...BERT_DEFAULTS, model_type: "megatron-bert" },
  limits: bert.limits,
  written: bert.written,
};
