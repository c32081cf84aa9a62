/** The models of pipelines as tokenizer.json has them: the registry. Used by the pipeline tokenizer and its files. */

import { ClozeError } from "../../config/cloze_error.ts";
import type { BpeData } from "../bpe/bpe.ts";
import { BPE } from "../bpe/json.ts";
import type { Json } from "../json_fields.ts";
import { isObject, shown } from "../json_fields.ts";
import type { SubwordModel } from "../subword_model.ts";
import { UNIGRAM, type UnigramData } from "../unigram/json.ts";

/** What a model is beside its vocabulary, as plain data. */
export type ModelData = BpeData | UnigramData;

/** What a model needs to know of the tokenizer that it is part of. */
export interface ModelContext {
  /** The model's own tokens by id. */
  vocabulary: readonly string[];
  /** Special tokens, which no word of a corpus is. */
  own: ReadonlySet<string>;
}

/** A kind of model. */
export interface ModelKind<Data extends ModelData> {
  /**
   * Reads `model` of a tokenizer.json.
   *
   * @param byte_level whether words come as bytes.
   */
  read(json: Record<string, Json>, byte_level: boolean): { vocabulary: string[]; data: Data };
  /** `model` for a tokenizer.json. */
  write(vocabulary: readonly string[], data: Data): Record<string, Json>;
  /** Further files that older programs read, by name. */
  files?(vocabulary: readonly string[], data: Data): Record<string, string>;
  /** The model, ready to cut words. */
  build(context: ModelContext, data: Data): SubwordModel;
}

/** The kinds by the type that tokenizer.json calls them. */
const MODELS: { [Type in ModelData["type"]]: ModelKind<Extract<ModelData, { type: Type }>> } = {
  BPE,
  Unigram: UNIGRAM,
};

/** The kind of a model. */
export function modelKind(type: ModelData["type"]): ModelKind<ModelData> {
  return MODELS[type] as unknown as ModelKind<ModelData>;
}

/** The type of `model` in a tokenizer.json, which older files of BPE do not say. @throws {ClozeError} naming an unknown one. */
export function modelType(json: Record<string, Json>): ModelData["type"] | "WordPiece" {
  const { type } = json;
  if (type === "WordPiece" || (typeof type === "string" && Object.hasOwn(MODELS, type))) {
    return type as ModelData["type"];
  }
  if (type === undefined) return isObject(json.vocab) && Array.isArray(json.merges) ? "BPE" : "WordPiece";
  const known = ["WordPiece", ...Object.keys(MODELS)];
  throw new ClozeError("input", `its model is ${shown(type)}, but cloze reads ${known.join(", ")}`);
}
