/** The families of models that can be read and written. */

import { ClozeError } from "../config/cloze_error.ts";
import { own, shown } from "../config/json_object.ts";
import { bert } from "./families/bert.ts";
import type { Family } from "./family.ts";

/** Every family; the first is the one of a `config.json` without `model_type`. */
export const FAMILIES: readonly Family[] = [bert];

/**
 * The family that a `config.json` names.
 *
 * @throws {ClozeError} `input` if it is none of them.
 */
export function familyOf(json: Record<string, unknown>, path: string): Family {
  const type = own(json, "model_type") ?? FAMILIES[0].model_type;
  const found = FAMILIES.find(({ model_type, left_to_right_classifier }) =>
    type === model_type || type === left_to_right_classifier
  );
  if (found !== undefined) return found;
  const known = FAMILIES.map(({ model_type }) => JSON.stringify(model_type)).join(", ");
  throw new ClozeError("input", `${path}: model_type is ${shown(type)}, but cloze runs ${known}`, {
    hint: "models of other architectures cannot be loaded",
  });
}
