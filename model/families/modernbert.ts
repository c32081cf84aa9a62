/** ModernBERT (Warner et al., 2024), as transformers' ModernBertConfig has it. */

import { ClozeError } from "../../config/cloze_error.ts";
import { own, shown } from "../../config/json_object.ts";
import { BERT_DEFAULTS, type ModelConfig, type ModernBertConfig } from "../../config/model_config.ts";
import type { Family, Limit } from "../family.ts";
import { bert } from "./bert.ts";

type Json = Record<string, unknown>;

/** Its own fields and their defaults. */
const DEFAULTS: ModernBertConfig = {
  global_attn_every_n_layers: 3,
  local_attention: 128,
  global_rope_theta: 160_000,
  local_rope_theta: 10_000,
  embedding_dropout: 0,
  mlp_dropout: 0,
  initializer_cutoff_factor: 2,
  norm_bias: false,
  attention_bias: false,
  mlp_bias: false,
  classifier_bias: false,
  classifier_activation: "gelu",
  classifier_pooling: "cls",
};

const FLAGS = ["norm_bias", "attention_bias", "mlp_bias", "classifier_bias"] as const;

/** What its numbers may be: least, most, whole. */
const NUMBERS = {
  global_attn_every_n_layers: [1, 2 ** 10, true],
  local_attention: [0, 2 ** 20, true],
  global_rope_theta: [1, 1e12, false],
  local_rope_theta: [1, 1e12, false],
  embedding_dropout: [0, 0.999999, false],
  mlp_dropout: [0, 0.999999, false],
  initializer_cutoff_factor: [0.1, 1e6, false],
} as const satisfies Partial<Record<keyof ModernBertConfig, readonly [number, number, boolean]>>;

/** The kinds of layers that transformers 5 names, and the field of transformers 4 for the base of their angles. */
const THETAS = { full_attention: "global_rope_theta", sliding_attention: "local_rope_theta" } as const;

const HINT = "use another model, or save this one again as transformers makes it by default";

/** Rotary positions of another form than the plain one. */
const scaled: Limit = {
  fine: (value) => Object.keys(value as object).length === 0,
  expected: "scaled rotary positions are not supported",
  hint: HINT,
};

/** `rope_parameters` of transformers 5: a base for each kind of layers. */
function plainAngles(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).every(([kind, of]) => {
    if (of === null) return true;
    const { rope_type = "default", rope_theta: _, ...rest } = of as Json;
    return Object.hasOwn(THETAS, kind) && rope_type === "default" && Object.keys(rest).length === 0;
  });
}

/** How many layers there are from one that sees everything to the next, if `layer_types` is so. */
function everyN(types: readonly unknown[]): number | undefined {
  const next = types.indexOf("full_attention", 1);
  const n = next === -1 ? Math.max(types.length, 1) : next;
  return types.every((type, i) => type === (i % n === 0 ? "full_attention" : "sliding_attention")) ? n : undefined;
}

/** Its own fields, in the form of transformers 4 or of 5, which wins where both are there. */
function readOwn(json: Json, path: string): Partial<ModelConfig> {
  const wrong = (field: string, value: unknown, expected: string) =>
    new ClozeError("input", `${path}: ${field} is ${shown(value)}, but has to be ${expected}`, {
      hint: "it is no configuration of such a model, or was changed",
    });
  const found: Record<string, unknown> = { ...DEFAULTS };
  for (const field of Object.keys(DEFAULTS)) found[field] = own(json, field) ?? found[field];
  const angles = (own(json, "rope_parameters") ?? {}) as Record<string, { rope_theta?: unknown } | null>;
  for (const [kind, field] of Object.entries(THETAS)) found[field] = angles[kind]?.rope_theta ?? found[field];
  const types = own(json, "layer_types");
  if (Array.isArray(types)) found.global_attn_every_n_layers = everyN(types);
  for (const [field, [least, most, whole]] of Object.entries(NUMBERS)) {
    const value = found[field];
    if (typeof value === "number" && value >= least && value <= most && (!whole || Number.isInteger(value))) continue;
    throw wrong(field, value, `a ${whole ? "whole number" : "number"} from ${least} to ${most}`);
  }
  for (const field of FLAGS) if (typeof found[field] !== "boolean") throw wrong(field, found[field], "true or false");
  if (found.classifier_pooling !== "cls" && found.classifier_pooling !== "mean") {
    throw wrong("classifier_pooling", found.classifier_pooling, `"cls" or "mean"`);
  }
  return { modernbert: found as unknown as ModernBertConfig };
}

/** The family whose `model_type` is `modernbert`. */
export const modernbert: Family = {
  model_type: "modernbert",
  architectures: {
    ModernBertForMaskedLM: "mlm",
    ModernBertForSequenceClassification: "sequence_classification",
    ModernBertForTokenClassification: "token_classification",
    ModernBertModel: "none",
  },
  defaults: {
    ...BERT_DEFAULTS,
    model_type: "modernbert",
    max_position_embeddings: 8192,
    type_vocab_size: 1,
    hidden_dropout_prob: 0,
    attention_probs_dropout_prob: 0,
    layer_norm_eps: 1e-5,
    pad_token_id: 50283,
    modernbert: DEFAULTS,
  },
  preset: { pad_token_id: 0 },
  // The published width of 1.5 C makes a block 4 C² + 3 C · 1.5 C = 8.5 C² multiplications; BERT's is 12 C².
  shape: (layers, hidden_size) => ({
    num_hidden_layers: Math.round(layers * 12 / 8.5),
    intermediate_size: 1.5 * hidden_size,
  }),
  names: {
    hidden_act: "hidden_activation",
    layer_norm_eps: "norm_eps",
    attention_probs_dropout_prob: "attention_dropout",
    hidden_dropout_prob: null,
    type_vocab_size: null,
  },
  readOwn,
  writeOwn: ({ modernbert = DEFAULTS }, { cls, sep }) => ({
    ...modernbert,
    decoder_bias: true,
    bos_token_id: cls,
    cls_token_id: cls,
    eos_token_id: sep,
    sep_token_id: sep,
  }),
  limits: {
    hidden_activation: bert.limits.hidden_act,
    classifier_activation: bert.limits.hidden_act,
    decoder_bias: { fine: (value) => value === true, expected: "a decoder without bias is not supported", hint: HINT },
    layer_types: {
      fine: (value, { num_hidden_layers }) =>
        Array.isArray(value) && value.length === num_hidden_layers && everyN(value) !== undefined,
      expected: "every n-th layer from the first has to be full_attention, and the others sliding_attention",
      hint: HINT,
    },
    rope_parameters: { ...scaled, fine: plainAngles },
    rope_scaling: scaled,
    head_dim: {
      fine: (value, { hidden_size, num_attention_heads }) =>
        value === (hidden_size as number) / (num_attention_heads as number),
      expected: "heads of another width than hidden_size / num_attention_heads are not supported",
      hint: HINT,
    },
    is_decoder: {
      fine: (value) => value === false,
      expected: "left to right this family is not supported",
      hint: "use a model that sees the whole text",
    },
  },
  written: {},
};
