/**
 * tokenizer.json → a tokenizer: its model says how the rest is read. The models, normalizers, pre-tokenizers, post-processors
 * and decoders that are known stand in the registries of `pipeline/`. Used by `files.ts`.
 */

import type { Beside } from "./beside.ts";
import { type Json, object } from "./json_fields.ts";
import { checkOuterFields } from "./outer_fields.ts";
import { pipelineFrom } from "./pipeline/load.ts";
import { modelType } from "./pipeline/models.ts";
import type { Tokenizer } from "./tokenizer.ts";
import type { Family } from "./tokenizer_family.ts";
import { wordPieceFrom } from "./wordpiece/load.ts";

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
  checkOuterFields(json);
  const read = modelType(object(json.model, "model")) === "WordPiece" ? wordPieceFrom : pipelineFrom;
  return read(json, files, family, use);
}
