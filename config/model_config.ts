/** The encoder's shape: the fields of a Hugging Face `config.json` that every BERT model has. */

import { ClozeError } from "./cloze_error.ts";
import { parseJsonObject, shown } from "./json_object.ts";

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
  /** Whether the decoder is the word embedding matrix; else it has one of its own. */
  tie_word_embeddings: boolean;
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
  tie_word_embeddings: true,
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

/** What a number of a `config.json` may be; the bounds of sizes are the core's, far beyond any model. */
type NumberField = { least: number; most: number; whole: boolean };

const size = (most: number): NumberField => ({ least: 1, most, whole: true });
const rate = { least: 0, most: 0.999999, whole: false };

const NUMBERS: Record<Exclude<keyof ModelConfig, "hidden_act" | "tie_word_embeddings">, NumberField> = {
  vocab_size: size(2 ** 28),
  hidden_size: size(2 ** 17),
  num_hidden_layers: size(2 ** 10),
  num_attention_heads: size(2 ** 12),
  intermediate_size: size(2 ** 19),
  max_position_embeddings: size(2 ** 20),
  type_vocab_size: size(2 ** 16),
  hidden_dropout_prob: rate,
  attention_probs_dropout_prob: rate,
  layer_norm_eps: { least: 0, most: 1, whole: false },
  initializer_range: { least: 0, most: 1e6, whole: false },
  pad_token_id: { least: 0, most: 2 ** 28, whole: true },
};

/**
 * Fields that change what a model computes, with what they may say so that nothing is changed; `undefined` and `null` are
 * always fine. Whatever else they say is refused, because it would be passed over.
 */
const UNCHANGED: Record<string, { fine: (value: unknown) => boolean; expected: string }> = {
  model_type: {
    fine: (value) => value === "bert" || value === LEFT_TO_RIGHT_CLASSIFIER,
    expected: `cloze runs "bert"`,
  },
  hidden_act: { fine: (value) => value === "gelu", expected: `only "gelu" (the erf form) is supported` },
  position_embedding_type: { fine: (value) => value === "absolute", expected: `only "absolute" is supported` },
  is_decoder: { fine: (value) => typeof value === "boolean", expected: "it has to be true or false" },
  is_encoder_decoder: { fine: (value) => value === false, expected: "an encoder alone is supported" },
  add_cross_attention: { fine: (value) => value === false, expected: "cross attention is not supported" },
  pruned_heads: { fine: (value) => isEmpty(value), expected: "pruned heads are not supported" },
  quantization_config: { fine: (value) => isEmpty(value), expected: "quantized weights are not supported" },
  chunk_size_feed_forward: {
    fine: (value) => typeof value === "number", // the same numbers, computed piece by piece
    expected: "it has to be a number",
  },
  tie_word_embeddings: { fine: (value) => typeof value === "boolean", expected: "it has to be true or false" },
};

const isEmpty = (value: unknown) => typeof value === "object" && value !== null && Object.keys(value).length === 0;

/** Hints for fields that are refused. */
const HINTS: Record<string, string> = {
  quantization_config: "save the model again without quantization",
  model_type: "other architectures than BERT cannot be loaded",
};

/**
 * Reads the text of a `config.json`. Fields that change nothing of what the model computes are passed over; one that does
 * and that cloze does not honour is refused.
 *
 * @throws {ClozeError} `input`, naming the field.
 */
export function parseModelConfig(text: string, path: string): ModelConfig {
  const json = parseJsonObject(text, path);
  for (const [field, { fine, expected }] of Object.entries(UNCHANGED)) {
    const value = own(json, field);
    if (value === undefined || value === null || fine(value)) continue;
    throw new ClozeError("input", `${path}: ${field} is ${shown(value)}, but ${expected}`, { hint: HINTS[field] });
  }
  const config: Record<string, unknown> = { ...DEFAULTS };
  config.tie_word_embeddings = own(json, "tie_word_embeddings") ?? DEFAULTS.tie_word_embeddings;
  for (const [field, { least, most, whole }] of Object.entries(NUMBERS)) {
    const value = own(json, field) ?? config[field];
    const isRight = typeof value === "number" && value >= least && value <= most && (!whole || Number.isInteger(value));
    if (!isRight) {
      const expected = `a ${whole ? "whole number" : "number"} from ${least} to ${most}`;
      throw new ClozeError("input", `${path}: ${field} is ${shown(value)}, but has to be ${expected}`);
    }
    config[field] = value;
  }
  const { hidden_size, num_attention_heads, pad_token_id, vocab_size } = config as unknown as ModelConfig;
  if (hidden_size % num_attention_heads !== 0) {
    throw new ClozeError(
      "input",
      `${path}: hidden_size ${hidden_size} is not a multiple of num_attention_heads ${num_attention_heads}`,
    );
  }
  if (pad_token_id >= vocab_size) {
    throw new ClozeError("input", `${path}: pad_token_id is ${pad_token_id}, outside a vocabulary of ${vocab_size}`);
  }
  return config as unknown as ModelConfig;
}

/** A field of the file itself, never one that all objects have. */
export function own(json: Record<string, unknown>, field: string): unknown {
  return Object.hasOwn(json, field) ? json[field] : undefined;
}
