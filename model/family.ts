/** What a family of models is, as far as its folder goes. Each has a file in `families/` and a line in `families.ts`. */

import type { ModelConfig } from "../config/model_config.ts";
import type { HeadKind } from "./head_kinds.ts";

/** What a field of a `config.json` may say; `undefined` and `null` are always fine. */
export interface Limit {
  fine: (value: unknown, json: Record<string, unknown>) => boolean;
  /** The sentence's end: `hidden_act is "relu", but …`. */
  expected: string;
  hint: string;
}

/** Sizes that every `config.json` has to say. */
type Size = "vocab_size" | "hidden_size" | "num_hidden_layers" | "num_attention_heads" | "intermediate_size";

/** Ids of the tokens at both ends of a text. */
export interface SpecialIds {
  cls: number;
  sep: number;
}

/** One `model_type` of Hugging Face. */
export interface Family {
  model_type: string;
  /** The classes that can be read. The first one of a kind is the one that is written. */
  architectures: Record<string, HeadKind>;
  /**
   * `model_type` of a left-to-right classifier, which transformers does not know: as the family's own it would load there,
   * pool the first token and answer wrong without a word.
   */
  left_to_right_classifier?: string;
  /** What its configuration class has where a `config.json` says nothing. */
  defaults: Omit<ModelConfig, Size>;
  /** The field that says a classifier's dropout, and what it is where that says nothing; `classifier_dropout` unless given. */
  classifier_dropout?: { field: string; otherwise: number };
  /** What a new model has instead: that of the family's published ones. */
  preset?: Partial<ModelConfig>;
  /** Tokens of the longest text, where that is not `max_position_embeddings`. */
  longest?: (config: Omit<ModelConfig, Size>) => number;
  /** Layers and widths of a new model whose blocks cost a token as many multiplications as BERT's of that size. */
  shape?: (layers: number, hidden_size: number) => Partial<ModelConfig>;
  /** What its `config.json` calls a field of {@linkcode ModelConfig}, or `null` for one that it has not. */
  names?: Partial<Record<keyof ModelConfig, string | null>>;
  /**
   * Reads fields of its own.
   *
   * @throws {ClozeError} `input`, naming the one that is wrong.
   */
  readOwn?: (json: Record<string, unknown>, path: string) => Partial<ModelConfig>;
  /** Writes them, and the ids of special tokens that its configuration class has. */
  writeOwn?: (config: ModelConfig, ids: SpecialIds) => Record<string, unknown>;
  /** Fields that change what this family computes, with what they may say. */
  limits: Record<string, Limit>;
  /** Fields that are written beside those of {@linkcode ModelConfig}. */
  written: Record<string, unknown>;
}

/** Of `is_decoder`, in a family that is not run left to right. */
export const NOT_CAUSAL: Limit = {
  fine: (value) => value === false,
  expected: "left to right this family is not supported",
  hint: "use a model that sees the whole text",
};
