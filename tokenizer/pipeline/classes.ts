/**
 * Classes of transformers (5.24) that are made anew from the vocabulary and tokenizer_config.json, whatever else tokenizer.json
 * says. Used by `load.ts`.
 */

import type { SpecialNames } from "../added_tokens.ts";
import { boolean, type Json } from "../json_fields.ts";
import type { DefaultNames } from "../named_tokens.ts";
import type { Family } from "../tokenizer_family.ts";
import type { ModelData } from "./models.ts";

/** How a class makes its tokenizer. */
export interface TokenizerClass {
  model: ModelData["type"];
  /** The special tokens that nothing is said of. */
  names: DefaultNames;
  /** What it takes of `model` in tokenizer.json. */
  modelOf(json: Record<string, Json>): Record<string, Json>;
  /** Normalizer, pre-tokenizer and decoder, as tokenizer.json has them. */
  steps(config: Record<string, Json>): Record<"normalizer" | "pre_tokenizer" | "decoder", Json>;
  postProcessor(
    config: Record<string, Json>,
    nameOf: (role: keyof SpecialNames) => string | undefined,
    idOf: (token: string) => number | undefined,
  ): Record<string, Json>;
}

function flag(config: Record<string, Json>, name: string, fallback: boolean): boolean {
  const value = config[name] ?? fallback;
  return boolean(value, `${name} in tokenizer_config.json`);
}

const byteLevel = (config: Record<string, Json>) => ({
  type: "ByteLevel",
  add_prefix_space: flag(config, "add_prefix_space", false),
  trim_offsets: true,
  use_regex: true,
});

/** Byte-level BPE without options. */
const merged = ({ vocab, merges }: Record<string, Json>) => ({ type: "BPE", vocab, merges });

/** The classes by family. */
export const CLASSES: Record<Exclude<Family, "bert" | "bert-file" | "file">, TokenizerClass> = {
  roberta: {
    model: "BPE",
    names: {
      bos_token: "<s>",
      eos_token: "</s>",
      unk_token: "<unk>",
      sep_token: "</s>",
      pad_token: "<pad>",
      cls_token: "<s>",
      mask_token: "<mask>",
    },
    modelOf: merged,
    steps: (config) => ({ normalizer: null, pre_tokenizer: byteLevel(config), decoder: { type: "ByteLevel" } }),
    postProcessor: (config, nameOf, idOf) => ({
      type: "RobertaProcessing",
      ...Object.fromEntries((["sep", "cls"] as const).map((role) => [role, [nameOf(role), idOf(nameOf(role)!)]])),
      trim_offsets: flag(config, "trim_offsets", true),
      add_prefix_space: flag(config, "add_prefix_space", false),
    }),
  },
  "gpt-neox": {
    model: "BPE",
    names: {
      bos_token: "<|endoftext|>",
      eos_token: "<|endoftext|>",
      unk_token: "<|endoftext|>",
      pad_token: "<|padding|>",
    },
    modelOf: merged,
    steps: (config) => ({
      normalizer: { type: "NFC" },
      pre_tokenizer: byteLevel(config),
      decoder: { type: "ByteLevel" },
    }),
    postProcessor: () => ({ type: "TemplateProcessing", single: [], pair: [], special_tokens: {} }),
  },
};
