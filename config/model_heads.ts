/**
 * What stands on a model's encoder: the objective that it is trained for, and what a Hugging Face `config.json` says about
 * it. The encoder itself is in `model_config.ts`.
 */

import { ClozeError } from "./cloze_error.ts";
import { LEFT_TO_RIGHT_CLASSIFIER, type ModelConfig, parseJsonObject } from "./model_config.ts";

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

/** The heads of a model folder. `none` is a bare encoder. */
export type ModelHeads =
  | { objective: PretrainingObjective | "none" }
  | { objective: "sequence_classification"; labels: string[]; classifier_dropout: number; left_to_right: boolean };

const ARCHITECTURES: Record<string, PretrainingObjective | "sequence_classification" | "none"> = {
  BertForMaskedLM: "mlm",
  BertForPreTraining: "mlm+nsp",
  BertLMHeadModel: "clm",
  BertForSequenceClassification: "sequence_classification",
  BertModel: "none",
};

/**
 * Reads the heads from the text of a `config.json`. Without `architectures` it is a masked language model.
 *
 * @throws {ClozeError} `input`, naming what cloze does not know.
 */
export function parseModelHeads(text: string, path: string): ModelHeads {
  const json = parseJsonObject(text, path);
  const architecture = Array.isArray(json.architectures) ? String(json.architectures[0]) : "BertForMaskedLM";
  const objective = Object.hasOwn(ARCHITECTURES, architecture) ? ARCHITECTURES[architecture] : undefined;
  if (objective === undefined) {
    throw new ClozeError("input", `${path}: the architecture is ${architecture}, which cloze does not know`, {
      hint: `it knows ${Object.keys(ARCHITECTURES).join(", ")}`,
    });
  }
  if (objective === "sequence_classification") {
    const dropout = json.classifier_dropout ?? json.hidden_dropout_prob ?? 0;
    const left_to_right = json.is_decoder === true;
    return { objective, labels: labelsOf(json, path), classifier_dropout: Number(dropout), left_to_right };
  }
  return { objective: json.is_decoder === true ? "clm" : objective };
}

/** Names of the classes by their number. */
function labelsOf(json: Record<string, unknown>, path: string): string[] {
  const wrong = () => new ClozeError("input", `${path}: id2label has to name the classes from 0 on, at least two`);
  // transformers writes id2label for other numbers than two only.
  if (json.id2label === undefined) return ["LABEL_0", "LABEL_1"];
  if (typeof json.id2label !== "object" || json.id2label === null) throw wrong();
  const names = json.id2label as Record<string, unknown>;
  const labels = Object.keys(names).map((_, id) => names[id]);
  if (labels.length < 2 || !labels.every((label) => typeof label === "string")) throw wrong();
  return labels as string[];
}

/** The text of a `config.json` that transformers loads as the class of these heads. */
export function modelConfigJson(config: ModelConfig, heads: ModelHeads): string {
  const [architecture] = Object.entries(ARCHITECTURES).find(([, objective]) => objective === heads.objective)!;
  const special = heads.objective === "sequence_classification"
    ? {
      classifier_dropout: heads.classifier_dropout,
      id2label: Object.fromEntries(heads.labels.map((label, id) => [id, label])),
      label2id: Object.fromEntries(heads.labels.map((label, id) => [label, id])),
      problem_type: "single_label_classification",
      ...(heads.left_to_right ? { model_type: LEFT_TO_RIGHT_CLASSIFIER, is_decoder: true } : {}),
    }
    : heads.objective === "clm"
    ? { is_decoder: true }
    : {};
  const json = {
    architectures: [architecture],
    model_type: "bert",
    ...config,
    ...special,
    position_embedding_type: "absolute",
    tie_word_embeddings: true,
    dtype: "float32",
  };
  return JSON.stringify(json, null, 2) + "\n";
}
