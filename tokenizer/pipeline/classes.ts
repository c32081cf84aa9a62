/**
 * Classes of transformers (5.24) that are made anew from the vocabulary and tokenizer_config.json, whatever else tokenizer.json
 * says. Used by `load.ts`.
 */

import type { SpecialNames } from "../added_tokens.ts";
import { boolean, isObject, type Json, list } from "../json_fields.ts";
import type { DefaultNames } from "../named_tokens.ts";
import type { Family } from "../tokenizer_family.ts";
import type { ModelData } from "./models.ts";

/** How a class makes its tokenizer. */
export interface TokenizerClass {
  model: ModelData["type"];
  /** The special tokens that nothing is said of. */
  names: DefaultNames;
  /** What it takes of `model` in tokenizer.json. */
  modelOf(json: Record<string, Json>, config: Record<string, Json>): Record<string, Json>;
  /** Special tokens without a name of their own, where nothing is said of such. */
  extra?: readonly string[];
  /** Whether a mask token that is only named takes the white space before it. */
  maskTakesSpace?: boolean;
  /** Normalizer, pre-tokenizer and decoder, as tokenizer.json has them; `file` is one, of which a class may keep parts. */
  steps(
    config: Record<string, Json>,
    file: Record<string, Json>,
  ): Record<"normalizer" | "pre_tokenizer" | "decoder", Json>;
  postProcessor(
    config: Record<string, Json>,
    nameOf: (role: keyof SpecialNames | "bos" | "eos") => string | undefined,
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

/** The names of RoBERTa and its like. */
const ROBERTA_NAMES = {
  bos_token: "<s>",
  eos_token: "</s>",
  unk_token: "<unk>",
  sep_token: "</s>",
  pad_token: "<pad>",
  cls_token: "<s>",
  mask_token: "<mask>",
};

/** The first charsmap of a file, if there is one: all that SentencePiece-like classes keep of its normalizer. */
function charsmapOf({ normalizer }: Record<string, Json>): Json {
  if (!isObject(normalizer)) return null;
  const steps: Json[] = normalizer.type === "Sequence"
    ? list(normalizer.normalizers, "normalizer.normalizers")
    : [normalizer];
  return steps.find((step) => isObject(step) && step.type === "Precompiled" && "precompiled_charsmap" in step) ?? null;
}

/** The decoder, which `tokenizers` reads with all of its fields alone, though it looks at none of them. */
const BYTE_LEVEL = { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true };

/** What XLM-R's and CamemBERT's classes make of a file. */
function metaspaceSteps(config: Record<string, Json>, file: Record<string, Json>) {
  const prepend_scheme = flag(config, "add_prefix_space", true) ? "always" : "never";
  const metaspace = { type: "Metaspace", replacement: "▁", prepend_scheme, split: true };
  return {
    normalizer: charsmapOf(file),
    pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "WhitespaceSplit" }, metaspace] },
    decoder: metaspace,
  };
}

/** `<s> A </s>`, and `<s> A </s></s> B </s>`. */
const robertaTemplate: TokenizerClass["postProcessor"] = (_, nameOf, idOf) => {
  const [cls, sep] = [nameOf("bos")!, nameOf("eos")!];
  const special = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
  const text = (id: string) => ({ Sequence: { id, type_id: 0 } });
  const single = [special(cls), text("A"), special(sep)];
  return {
    type: "TemplateProcessing",
    single,
    pair: [...single, special(sep), text("B"), special(sep)],
    special_tokens: Object.fromEntries(
      [cls, sep].map((token) => [token, { id: token, ids: [idOf(token)], tokens: [token] }]),
    ),
  };
};

/** The classes by family. */
export const CLASSES: Record<Exclude<Family, "bert" | "bert-file" | "file">, TokenizerClass> = {
  roberta: {
    model: "BPE",
    names: ROBERTA_NAMES,
    modelOf: merged,
    steps: (config) => ({ normalizer: null, pre_tokenizer: byteLevel(config), decoder: BYTE_LEVEL }),
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
      decoder: BYTE_LEVEL,
    }),
    postProcessor: () => ({ type: "TemplateProcessing", single: [], pair: [], special_tokens: {} }),
  },
  "xlm-roberta": {
    model: "Unigram",
    names: ROBERTA_NAMES,
    modelOf: ({ vocab }) => ({ type: "Unigram", vocab, unk_id: 3 }),
    steps: metaspaceSteps,
    postProcessor: robertaTemplate,
  },
  camembert: {
    model: "Unigram",
    names: ROBERTA_NAMES,
    maskTakesSpace: true,
    extra: ["<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"],
    modelOf: ({ vocab }, { unk_token = "<unk>" }) => {
      const unk = isObject(unk_token) ? unk_token.content : unk_token;
      const unk_id = list(vocab, "model.vocab").findIndex((piece) => Array.isArray(piece) && piece[0] === unk);
      return { type: "Unigram", vocab, unk_id: Math.max(unk_id, 0) };
    },
    steps: metaspaceSteps,
    postProcessor: robertaTemplate,
  },
};
