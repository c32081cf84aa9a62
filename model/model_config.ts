/** Reads what an encoder is from a Hugging Face `config.json`. What stands on it is read in `model_heads.ts`. */

import { ClozeError } from "../config/cloze_error.ts";
import { own, parseJsonObject, shown } from "../config/json_object.ts";
import type { ModelConfig, UnsizedModelConfig } from "../config/model_config.ts";
import { familyOf, fieldName, longestText } from "./families.ts";
import type { Family, Limit } from "./family.ts";

/** What a number of a `config.json` may be; the bounds of sizes are the core's, far beyond any model. */
type NumberField = { least: number; most: number; whole: boolean };

const size = (most: number): NumberField => ({ least: 1, most, whole: true });
const rate = { least: 0, most: 0.999999, whole: false };

type Other = "model_type" | "hidden_act" | "tie_word_embeddings" | "modernbert";

const NUMBERS: Record<Exclude<keyof ModelConfig, Other>, NumberField> = {
  vocab_size: size(2 ** 28),
  hidden_size: size(2 ** 17),
  embedding_size: size(2 ** 17),
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

/** What helps against a field that belongs to another architecture. */
const OTHER_MODEL = "the model is of another architecture, or its config.json belongs to another model";
const bool: Limit = {
  fine: (value) => typeof value === "boolean",
  expected: "it has to be true or false",
  hint: "mend config.json",
};
const absent = (what: string): Limit => ({ fine: isEmpty, expected: `${what} not supported`, hint: OTHER_MODEL });

/**
 * Fields that change what any model computes: of transformers' PretrainedConfig, of libraries that change models, and of
 * other architectures under a known `model_type`. Whatever else a field says changes nothing, for transformers as well.
 */
const LIMITS: Record<string, Limit> = {
  is_decoder: bool,
  is_encoder_decoder: {
    fine: (value) => value === false,
    expected: "an encoder alone is supported",
    hint: "use a model that is an encoder alone",
  },
  add_cross_attention: { ...absent("cross attention is"), fine: (value) => value === false },
  cross_attention_hidden_size: absent("cross attention is"),
  tie_encoder_decoder: { ...absent("a decoder beside the encoder is"), fine: (value) => value === false },
  pruned_heads: {
    ...absent("pruned heads are"),
    hint: "use the model that was pruned, or one that was distilled",
  },
  quantization_config: {
    fine: isEmpty,
    expected: "quantized weights are not supported",
    hint: "save the model again without quantization",
  },
  adapters: {
    fine: (value) => isEmpty(value) || isEmpty((value as { adapters?: unknown }).adapters),
    expected: "adapters are not applied",
    hint: "merge the adapters into the weights and save the model again",
  },
  auto_map: {
    fine: (value) => typeof value === "object" && !Object.keys(value ?? {}).some((name) => /^AutoModel/.test(name)),
    expected: "cloze runs no code of a model's own",
    hint: "if the code computes what the model's type says, take it out of config.json, or give --as",
  },
  transformers_weights: {
    fine: (value) => value === "model.safetensors",
    expected: "cloze looks for weights under their usual names",
    hint: "rename that file to model.safetensors, and take the field out of config.json",
  },
  chunk_size_feed_forward: {
    fine: (value) => typeof value === "number", // the same numbers, computed piece by piece
    expected: "it has to be a number",
    hint: "mend config.json",
  },
  torchscript: bool, // the same numbers, from copies of tied weights
  tie_word_embeddings: bool,
  per_layer_config: absent("layers of several kinds are"),
  layer_types: {
    ...absent("layers of several kinds are"),
    fine: (value) => Array.isArray(value) && value.every((type) => type === "full_attention"),
  },
  fusion_config: absent("fused layers are"),
  embedding_size: {
    fine: (value, json) => value === json.hidden_size,
    expected: "embeddings of another width than the layers' are not supported",
    hint: OTHER_MODEL,
  },
  sliding_window: absent("attention within a window is"),
  rope_theta: absent("rotary positions are"),
  rope_scaling: absent("rotary positions are"),
  rope_parameters: absent("rotary positions are"),
};

/** Whether it says nothing: an object or an array without entries. */
function isEmpty(value: unknown): boolean {
  return typeof value === "object" && (value === null || Object.keys(value).length === 0);
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

/** The same of a {@linkcode UnsizedModelConfig} as JSON: its fields have BERT's names in every family. */
export function parseRecordedConfig(text: string, path: string): UnsizedModelConfig {
  return parseConfig(text, path, true, true);
}

/** The numbers that a family's configuration says. */
function fieldsOf({ defaults }: Family): (keyof typeof NUMBERS)[] {
  const all = Object.keys(NUMBERS) as (keyof typeof NUMBERS)[];
  return all.filter((field) => field !== "embedding_size" || field in defaults);
}

/** transformers takes some fields under BERT's names as well; where both are there, which one counts differs by version. */
function refuseBoth(json: Record<string, unknown>, field: string, name: string | null, path: string): void {
  const other = own(json, field);
  if (name === field || name === null || other === undefined || other === null || other === own(json, name)) return;
  throw new ClozeError("input", `${path}: ${field} is ${shown(other)}, but this family's field is ${name}`, {
    hint: `say it as ${name} alone`,
  });
}

function parseConfig(text: string, path: string, isUnsized: boolean, isRecorded = false): UnsizedModelConfig {
  const json = parseJsonObject(text, path);
  const family = familyOf(json, path);
  const { model_type, defaults, limits } = family;
  const nameOf = (field: keyof ModelConfig) => (isRecorded ? field : fieldName(family, field));
  for (const [field, { fine, expected, hint }] of Object.entries({ ...LIMITS, ...limits })) {
    const value = own(json, field);
    if (value === undefined || value === null || fine(value, json)) continue;
    throw new ClozeError("input", `${path}: ${field} is ${shown(value)}, but ${expected}`, { hint });
  }
  const config: Record<string, unknown> = { ...defaults, model_type };
  const said = (field: keyof ModelConfig) => {
    const name = nameOf(field);
    return name === null ? undefined : own(json, name);
  };
  config.tie_word_embeddings = said("tie_word_embeddings") ?? defaults.tie_word_embeddings;
  config.hidden_act = said("hidden_act") ?? defaults.hidden_act;
  for (const field of fieldsOf(family)) {
    const { least, most, whole } = NUMBERS[field], name = nameOf(field);
    refuseBoth(json, field, name, path);
    const value = said(field) ?? config[field] ?? null;
    const isRight = typeof value === "number" && value >= least && value <= most && (!whole || Number.isInteger(value));
    config[field] = value;
    if (isRight || (isUnsized && field === "vocab_size" && value === null)) continue;
    const expected = `a ${whole ? "whole number" : "number"} from ${least} to ${most}`;
    throw new ClozeError("input", `${path}: ${name} is ${shown(value ?? undefined)}, but has to be ${expected}`, {
      hint: "it is no configuration of such a model, or was changed",
    });
  }
  Object.assign(config, family.readOwn?.(json, path));
  const { hidden_size, num_attention_heads, pad_token_id, vocab_size } = config as unknown as UnsizedModelConfig;
  if (hidden_size % num_attention_heads !== 0) {
    throw new ClozeError(
      "input",
      `${path}: hidden_size ${hidden_size} is not a multiple of num_attention_heads ${num_attention_heads}`,
      { hint: "change one of the two" },
    );
  }
  if (vocab_size !== null && pad_token_id >= vocab_size) {
    throw new ClozeError("input", `${path}: pad_token_id is ${pad_token_id}, outside a vocabulary of ${vocab_size}`, {
      hint: "it has to be the id of [PAD]",
    });
  }
  const longest = longestText(config as unknown as UnsizedModelConfig);
  if (longest < 1) {
    throw new ClozeError(
      "input",
      `${path}: max_position_embeddings is ${config.max_position_embeddings}, but this family's texts begin in row ${
        pad_token_id + 1
      }, behind that of pad_token_id`,
      { hint: "one of the two was changed, or belongs to another model" },
    );
  }
  return config as unknown as UnsizedModelConfig;
}
