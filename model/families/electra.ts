/** ELECTRA (Clark et al., 2020), as transformers' ElectraConfig has it: the generator, and the discriminator's encoder. */

import { BERT_DEFAULTS } from "../../config/model_config.ts";
import { type Family, NOT_CAUSAL } from "../family.ts";
import { bert } from "./bert.ts";

/** The family whose `model_type` is `electra`. */
export const electra: Family = {
  model_type: "electra",
  architectures: {
    ElectraForMaskedLM: "mlm",
    ElectraForSequenceClassification: "sequence_classification",
    ElectraForTokenClassification: "token_classification",
    ElectraModel: "none",
    ElectraForPreTraining: "none", // its head tells replaced tokens
  },
  defaults: { ...BERT_DEFAULTS, model_type: "electra", embedding_size: 128 },
  limits: {
    hidden_act: bert.limits.hidden_act,
    position_embedding_type: bert.limits.position_embedding_type,
    embedding_size: {
      fine: (value) => typeof value === "number",
      expected: "it has to be a number",
      hint: "mend config.json",
    },
    is_decoder: NOT_CAUSAL,
  },
  written: {},
};
