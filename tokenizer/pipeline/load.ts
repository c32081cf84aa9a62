/**
 * Files of BPE and Unigram tokenizers → a tokenizer, with what stands beside them. Classes of transformers that are made anew
 * from the vocabulary take their steps from `classes.ts`; all others have the file's. Used by `files.ts`.
 */

import { ClozeError } from "../../config/cloze_error.ts";
import type { AddedToken, SpecialNames } from "../added_tokens.ts";
import { AddedVocabulary } from "../added_vocabulary.ts";
import type { Beside } from "../beside.ts";
import { modelOfFiles, parseMergesTxt } from "../bpe/json.ts";
import { isObject, type Json, object, shown, string } from "../json_fields.ts";
import { namedTokens } from "../named_tokens.ts";
import type { Family } from "../tokenizer_family.ts";
import { type FileToken, readAdded } from "../vocabulary_json.ts";
import { CLASSES, type TokenizerClass } from "./classes.ts";
import { modelKind, modelType } from "./models.ts";
import { around, readPostProcessor } from "./post_processor.ts";
import { splitterOf } from "./splitter.ts";
import { stepsOf } from "./steps.ts";
import { PipelineTokenizer } from "./tokenizer.ts";

/** What special tokens are usually called, where no file says it. */
const USUAL: Record<keyof SpecialNames, readonly string[]> = {
  pad: ["<pad>", "[PAD]"],
  unk: ["<unk>", "[UNK]"],
  cls: ["<s>", "[CLS]"],
  sep: ["</s>", "[SEP]"],
  mask: ["<mask>", "[MASK]"],
};

/** The tokenizer of a vocab.json and its merges.txt. */
export function pipelineFromVocabJson(
  vocab: Record<string, Json>,
  merges: string,
  files: Beside,
  family: Family,
  use: "text" | "model",
): PipelineTokenizer {
  // Such a pair alone is what RoBERTa has; nothing in it says how text is cut.
  const model = modelOfFiles(vocab, parseMergesTxt(merges), null);
  return pipelineFrom({ model, added_tokens: [] }, files, family === "file" ? "roberta" : family, use);
}

/** The tokenizer of a tokenizer.json whose model is no WordPiece. */
export function pipelineFrom(
  json: Record<string, Json>,
  files: Beside,
  family: Family,
  use: "text" | "model",
): PipelineTokenizer {
  const file = object(json.model, "model"), type = modelType(file);
  if (type === "WordPiece") throw new TypeError("WordPiece is no pipeline");
  if (family === "bert" || family === "bert-file") {
    throw new ClozeError("input", `its model is ${shown(type)}, which a BertTokenizer has not`, {
      hint: "name the right tokenizer_class in tokenizer_config.json",
    });
  }
  const made = family === "file" ? undefined : CLASSES[family];
  if (made !== undefined && made.model !== type) {
    throw new ClozeError("input", `its model is ${shown(type)}, which a ${family} tokenizer has not`);
  }
  const steps = made?.steps(files.config, json) ?? json;
  const normalizers = stepsOf(steps.normalizer, "normalizer", "normalizers");
  const pre_tokenizers = stepsOf(steps.pre_tokenizer, "pre_tokenizer", "pretokenizers");
  const decoders = stepsOf(steps.decoder, "decoder", "decoders");
  const isByteLevel = pre_tokenizers.some(({ type }) => type === "ByteLevel");
  const { vocabulary, data: model } = modelKind(type).read(made?.modelOf(file, files.config) ?? file, isByteLevel);

  const ids = new Map(vocabulary.map((token, id) => [token, id])), notes: string[] = [];
  const added = new AddedVocabulary(vocabulary, (token) => ids.get(token));
  const inFile = readAdded(json.added_tokens ?? []);
  if (made === undefined) inFile.forEach((token) => added.add(fields(token)));
  const padding = isObject(json.padding) ? { pad_token: string(json.padding.pad_token, "padding.pad_token") } : {};
  const config = made === undefined ? { ...padding, ...files.config } : configOf(made, files.config);
  const named = namedTokens({ ...files, config }, inFile, made?.names ?? {}, {}, added);
  named.tokens.forEach((token) => added.add(token));
  for (const { content, id } of inFile) {
    const given = added.idOf(content);
    if (given === undefined || given === id) continue;
    notes.push(`tokenizer.json gives ${shown(content)} the id ${id}, but as in Hugging Face it has ${given}`);
  }
  const nameOf = (role: keyof SpecialNames | "bos" | "eos") => named.names.get(`${role}_token`);
  const post_processors = made === undefined
    ? stepsOf(json.post_processor, "post_processor", "processors")
    : [made.postProcessor(files.config, nameOf, (token) => added.idOf(token))];
  const names = namesOf(nameOf, around(readPostProcessor(post_processors)), added, use);
  added.check(splitterOf({ normalizers, pre_tokenizers }));
  return new PipelineTokenizer({
    vocabulary: added.vocabulary,
    pieces: vocabulary.length,
    added_tokens: added.tokens,
    names,
    model,
    normalizers,
    pre_tokenizers,
    post_processors,
    decoders,
  }, notes);
}

/** A configuration with what a class has where nothing is said. */
function configOf(made: TokenizerClass, config: Record<string, Json>): Record<string, Json> {
  const { mask_token = made.names.mask_token } = config;
  const mask = made.maskTakesSpace && typeof mask_token === "string"
    ? { mask_token: { __type: "AddedToken", content: mask_token, lstrip: true, special: true } }
    : {};
  return { ...(made.extra === undefined ? {} : { additional_special_tokens: made.extra }), ...config, ...mask };
}

/** What the special tokens are called: as the template has them, as the files name them, or as they usually are. */
function namesOf(
  nameOf: (role: keyof SpecialNames) => string | undefined,
  template: { cls: string; sep: string } | undefined,
  added: AddedVocabulary,
  use: "text" | "model",
): SpecialNames {
  if (use === "model" && template === undefined) {
    throw new ClozeError("input", "its post_processor does not put one special token on each side of a text", {
      hint: "save the tokenizer with TemplateProcessing: <s> $A </s>, or [CLS] $A [SEP]",
    });
  }
  const find = (role: keyof SpecialNames) =>
    nameOf(role) ?? USUAL[role].find((token) => added.idOf(token) !== undefined);
  const need = (role: keyof SpecialNames) => {
    const found = find(role);
    if (found !== undefined) return found;
    throw new ClozeError("input", `it has no ${role}_token`, {
      hint: `save the tokenizer with ${role}_token, which a masked language model needs`,
    });
  };
  const mask = need("mask"), pad = need("pad");
  if (use === "model" && !added.has(mask)) {
    throw new ClozeError("input", `its added_tokens lack ${mask}, so that a text cannot have a blank`, {
      hint: "save the tokenizer with mask_token",
    });
  }
  return {
    pad,
    // Where every byte has a token, nothing is unknown, and the name is not used.
    unk: find("unk") ?? pad,
    cls: template?.cls ?? need("cls"),
    sep: template?.sep ?? need("sep"),
    mask,
  };
}

function fields({ id: _, ...token }: FileToken): AddedToken {
  return token;
}
