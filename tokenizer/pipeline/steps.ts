/** Components of tokenizer.json as lists of steps. Used by the readers of every model. */

import { ClozeError } from "../../config/cloze_error.ts";
import { isObject, type Json, list, object, refusal } from "../json_fields.ts";

/** Components that are nested deeper than this are nobody's. */
const DEEPEST = 64;

/** The steps as tokenizer.json has them, without sequences around them. */
export interface PipelineSteps {
  normalizers: readonly Record<string, Json>[];
  pre_tokenizers: readonly Record<string, Json>[];
}

/** The steps of a component: nothing, one step, or a sequence of sequences of them. */
export function stepsOf(json: unknown, name: string, key: string, depth = 0): Record<string, Json>[] {
  if (json === null || json === undefined) return [];
  const step = object(json, name);
  if (step.type !== "Sequence") return [step];
  if (depth === DEEPEST) throw new ClozeError("input", `its ${name} is nested more than ${DEEPEST} deep`);
  return list(step[key], `${name}.${key}`).flatMap((part) => {
    if (!isObject(part)) throw refusal(`${name}.${key}`, part, "a list of objects");
    return stepsOf(part, name, key, depth + 1);
  });
}
