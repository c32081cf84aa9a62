/** The encoder's shape: the fields of a Hugging Face `config.json` that every BERT model has. */

import { ClozeError, messageOf } from "./cloze_error.ts";

/** Field names are Hugging Face's. */
export interface ModelConfig {
  vocab_size: number;
  hidden_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  intermediate_size: number;
  max_position_embeddings: number;
  type_vocab_size: number;
  hidden_dropout_prob: number;
  attention_probs_dropout_prob: number;
  layer_norm_eps: number;
  initializer_range: number;
  hidden_act: string;
  pad_token_id: number;
}

/** BERT's values (Devlin et al., 2019) for everything but the sizes. */
const DEFAULTS: Omit<
  ModelConfig,
  "vocab_size" | "hidden_size" | "num_hidden_layers" | "num_attention_heads" | "intermediate_size"
> = {
  max_position_embeddings: 512,
  type_vocab_size: 2,
  hidden_dropout_prob: 0.1,
  attention_probs_dropout_prob: 0.1,
  layer_norm_eps: 1e-12,
  initializer_range: 0.02,
  hidden_act: "gelu",
  pad_token_id: 0,
};

/** Layers and hidden size of BERT's miniatures (Turc et al., 2019) and of BERT-base. */
export const PRESETS = {
  tiny: { num_hidden_layers: 2, hidden_size: 128 },
  mini: { num_hidden_layers: 4, hidden_size: 256 },
  small: { num_hidden_layers: 4, hidden_size: 512 },
  medium: { num_hidden_layers: 8, hidden_size: 512 },
  base: { num_hidden_layers: 12, hidden_size: 768 },
} as const;

/**
 * `model_type` of a left-to-right classifier, which transformers does not know: as `bert` it would load there, pool the
 * first token and answer wrong without a word.
 */
export const LEFT_TO_RIGHT_CLASSIFIER = "cloze_left_to_right_classifier";

/** A name in {@linkcode PRESETS}. */
export type Preset = keyof typeof PRESETS;

/** A preset's configuration: heads of size 64, feed-forward four times as wide as the hidden size. */
export function presetConfig(preset: Preset, vocab_size: number): ModelConfig {
  const { hidden_size, num_hidden_layers } = PRESETS[preset];
  return {
    ...DEFAULTS,
    vocab_size,
    hidden_size,
    num_hidden_layers,
    num_attention_heads: hidden_size / 64,
    intermediate_size: 4 * hidden_size,
  };
}

/**
 * Reads the text of a `config.json`. Fields that the model has no use for are passed over.
 *
 * @throws {ClozeError} `input`, naming the field.
 */
export function parseModelConfig(text: string, path: string): ModelConfig {
  const json = parseJsonObject(text, path);
  if (json.model_type !== undefined && json.model_type !== "bert" && json.model_type !== LEFT_TO_RIGHT_CLASSIFIER) {
    throw new ClozeError("input", `${path}: model_type is ${JSON.stringify(json.model_type)}, but cloze runs "bert"`);
  }
  const position = json.position_embedding_type;
  if (position !== undefined && position !== "absolute") {
    throw new ClozeError("input", `${path}: position_embedding_type is ${JSON.stringify(position)}, not "absolute"`);
  }
  const config: Record<string, unknown> = { ...DEFAULTS };
  const sizes = ["vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"];
  for (const field of [...sizes, ...Object.keys(DEFAULTS)]) {
    const value = json[field] ?? config[field];
    const isRight = field === "hidden_act" ? typeof value === "string" : typeof value === "number";
    if (!isRight) {
      const expected = field === "hidden_act" ? "string" : "number";
      const found = value === undefined ? "missing" : JSON.stringify(value);
      throw new ClozeError("input", `${path}: ${field} is ${found}, but has to be a ${expected}`);
    }
    config[field] = value;
  }
  return config as unknown as ModelConfig;
}

/** @throws {ClozeError} `input` if the text is not a JSON object. */
export function parseJsonObject(text: string, path: string): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new ClozeError("input", `${path} is not JSON: ${messageOf(error)}`);
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new ClozeError("input", `${path} has to be a JSON object`);
  }
  return json as Record<string, unknown>;
}
