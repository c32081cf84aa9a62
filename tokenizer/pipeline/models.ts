/** The models of pipelines as tokenizer.json has them: the registry. Used by the pipeline tokenizer and its files. */

import { ClozeError } from "../../config/cloze_error.ts";
import type { BpeData } from "../bpe/bpe.ts";
import { BPE } from "../bpe/json.ts";
import type { Json } from "../json_fields.ts";
import { isObject, shown } from "../json_fields.ts";
import type { ModelKind } from "./model_kind.ts";
import { UNIGRAM } from "../unigram/json.ts";
import type { UnigramData } from "../unigram/model.ts";

/** What a model is beside its vocabulary, as plain data. */
export type ModelData = BpeData | UnigramData;

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
