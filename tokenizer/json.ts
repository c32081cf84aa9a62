/**
 * tokenizer.json → a tokenizer: its model says how the rest is read. The models, normalizers, pre-tokenizers, post-processors
 * and decoders that are known stand in the registries of `pipeline/`. Used by `files.ts`.
 */

import { ClozeError } from "../config/cloze_error.ts";
import type { Beside } from "./beside.ts";
import { isObject, type Json, object, only, parseJson, shown } from "./json_fields.ts";
import { pipelineFrom } from "./pipeline/load.ts";
import { modelType } from "./pipeline/models.ts";
import type { Tokenizer } from "./tokenizer.ts";
import type { Family } from "./tokenizer_family.ts";
import { wordPieceFrom } from "./wordpiece/load.ts";

/** @throws {ClozeError} if the text is no JSON object. */
export function parseObject(text: string): Record<string, Json> {
  const json = parseJson(text);
  if (isObject(json)) return json;
  throw new ClozeError("input", `it is ${shown(json)}, not an object`);
}

/**
 * The tokenizer of a tokenizer.json.
 *
 * @throws {ClozeError} `input` naming the field that cloze does not read.
 */
export function tokenizerOf(
  json: Record<string, Json>,
  files: Beside,
  family: Family,
  use: "text" | "model",
): Tokenizer {
  if (json.version !== undefined) only(json.version, "1.0", "version");
  for (const name of ["truncation", "padding"]) {
    if (json[name] !== undefined && json[name] !== null) object(json[name], name);
  }
  const read = modelType(object(json.model, "model")) === "WordPiece" ? wordPieceFrom : pipelineFrom;
  return read(json, files, family, use);
}
