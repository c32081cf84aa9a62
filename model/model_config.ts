/** Reads what an encoder is from a Hugging Face `config.json`. What stands on it is read in `model_heads.ts`. */

import { ClozeError } from "../config/cloze_error.ts";
import { own, parseJsonObject, shown } from "../config/json_object.ts";
import type { ModelConfig, UnsizedModelConfig } from "../config/model_config.ts";
import { familyOf } from "./families.ts";
import type { Limit } from "./family.ts";

/** What a number of a `config.json` may be; the bounds of sizes are the core's, far beyond any model. */
type NumberField = { least: number; most: number; whole: boolean };

const size = (most: number): NumberField => ({ least: 1, most, whole: true });
const rate = { least: 0, most: 0.999999, whole: false };

const NUMBERS: Record<Exclude<keyof ModelConfig, "model_type" | "hidden_act" | "tie_word_embeddings">, NumberField> = {
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

/** Fields of transformers' PretrainedConfig that change what any model computes. */
const LIMITS: Record<string, Limit> = {
  is_decoder: { fine: (value) => typeof value === "boolean", expected: "it has to be true or false" },
  is_encoder_decoder: { fine: (value) => value === false, expected: "an encoder alone is supported" },
  add_cross_attention: { fine: (value) => value === false, expected: "cross attention is not supported" },
  pruned_heads: { fine: isEmpty, expected: "pruned heads are not supported" },
  quantization_config: {
    fine: isEmpty,
    expected: "quantized weights are not supported",
    hint: "save the model again without quantization",
  },
  chunk_size_feed_forward: {
    fine: (value) => typeof value === "number", // the same numbers, computed piece by piece
    expected: "it has to be a number",
  },
  tie_word_embeddings: { fine: (value) => typeof value === "boolean", expected: "it has to be true or false" },
};

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

/**
 * Reads the text of a `config.json`. Fields that change nothing of what the model computes are passed over; one that does
 * and that cloze does not honour is refused.
 *
 * @throws {ClozeError} `input`, naming the field.
 */
export function parseModelConfig(text: string, path: string): ModelConfig {
  return parseConfig(text, path, false) as ModelConfig;
}

/** The same where `vocab_size` may be missing, because the tokenizer decides it. */
export function parseUnsizedConfig(text: string, path: string): UnsizedModelConfig {
  return parseConfig(text, path, true);
}

function parseConfig(text: string, path: string, isUnsized: boolean): UnsizedModelConfig {
  const json = parseJsonObject(text, path);
  const { model_type, defaults, limits } = familyOf(json, path);
  for (const [field, { fine, expected, hint }] of Object.entries({ ...limits, ...LIMITS })) {
    const value = own(json, field);
    if (value === undefined || value === null || fine(value)) continue;
    throw new ClozeError("input", `${path}: ${field} is ${shown(value)}, but ${expected}`, { hint });
  }
  const config: Record<string, unknown> = { ...defaults, model_type };
  config.tie_word_embeddings = own(json, "tie_word_embeddings") ?? defaults.tie_word_embeddings;
  for (const [field, { least, most, whole }] of Object.entries(NUMBERS)) {
    const value = own(json, field) ?? config[field] ?? null;
    const isRight = typeof value === "number" && value >= least && value <= most && (!whole || Number.isInteger(value));
    config[field] = value;
    if (isRight || (isUnsized && field === "vocab_size" && value === null)) continue;
    const expected = `a ${whole ? "whole number" : "number"} from ${least} to ${most}`;
    throw new ClozeError("input", `${path}: ${field} is ${shown(value ?? undefined)}, but has to be ${expected}`);
  }
  const { hidden_size, num_attention_heads, pad_token_id, vocab_size } = config as unknown as UnsizedModelConfig;
  if (hidden_size % num_attention_heads !== 0) {
    throw new ClozeError(
      "input",
      `${path}: hidden_size ${hidden_size} is not a multiple of num_attention_heads ${num_attention_heads}`,
    );
  }
  if (vocab_size !== null && pad_token_id >= vocab_size) {
    throw new ClozeError("input", `${path}: pad_token_id is ${pad_token_id}, outside a vocabulary of ${vocab_size}`);
  }
  return config as unknown as UnsizedModelConfig;
}
