/** What a tokenizer.json says around its model. Used by `files.ts`, which loads no more than the model needs. */

import { ClozeError } from "../config/cloze_error.ts";
import { isObject, type Json, object, only, parseJson, shown } from "./json_fields.ts";

/** @throws {ClozeError} if the text is no JSON object. */
export function parseObject(text: string): Record<string, Json> {
  const json = parseJson(text);
  if (isObject(json)) return json;
  throw new ClozeError("input", `it is ${shown(json)}, not an object`);
}

/** Whether a tokenizer.json says that its model is WordPiece. */
export function saysWordPiece({ model }: Record<string, Json>): boolean {
  return isObject(model) && model.type === "WordPiece";
}

/** @throws {ClozeError} naming a field that is not what every tokenizer.json has there. */
export function checkOuterFields(json: Record<string, Json>): void {
  if (json.version !== undefined) only(json.version, "1.0", "version");
  for (const name of ["truncation", "padding"]) {
    if (json[name] !== undefined && json[name] !== null) object(json[name], name);
  }
}
