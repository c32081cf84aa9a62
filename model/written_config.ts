/** The text of a `config.json`, as transformers reads it. */

import type { ModelConfig } from "../config/model_config.ts";
import { familyOfModel, fieldName } from "./families.ts";
import type { SpecialIds } from "./family.ts";
import { type ModelHeads, nameOf } from "./model_heads.ts";

/** Fields whose classes take a float and no whole number, which JSON of JavaScript would make of `2.0`. */
const FLOATS = /"(initializer_cutoff_factor|initializer_range|layer_norm_eps|norm_eps)": (\d+)(?=[,\n])/g;

/** The text of these fields. */
export function writtenConfig(json: Record<string, unknown>): string {
  return JSON.stringify(json, null, 2).replaceAll(FLOATS, `"$1": $2.0`) + "\n";
}

function labelFields(labels: readonly string[]): Record<string, unknown> {
  return {
    id2label: Object.fromEntries(labels.map((label, id) => [id, label])),
    label2id: Object.fromEntries(labels.map((label, id) => [label, id])),
  };
}

/** The text of a `config.json` that transformers loads as the class of these heads, with a tokenizer of these ids. */
export function modelConfigJson(config: ModelConfig, heads: ModelHeads, ids: SpecialIds): string {
  const family = familyOfModel(config);
  const fields = Object.entries(config).flatMap(([field, value]) => {
    const name = field === "modernbert" ? null : fieldName(family, field as keyof ModelConfig);
    return name === null ? [] : [[name, value]];
  });
  const { task, is_decoder, classifier, token_classifier } = heads;
  const special = token_classifier !== null
    ? { ...labelFields(token_classifier.labels), classifier_dropout: token_classifier.classifier_dropout }
    : classifier === null
    ? {}
    : {
      [family.classifier_dropout?.field ?? "classifier_dropout"]: classifier.classifier_dropout,
      ...labelFields(classifier.labels),
      problem_type: classifier.problem_type,
      ...(is_decoder ? { model_type: family.left_to_right_classifier } : {}),
    };
  const json = {
    architectures: [nameOf(task, family.architectures)],
    ...Object.fromEntries(fields),
    ...family.writeOwn?.(config, ids),
    ...special,
    ...(is_decoder ? { is_decoder } : {}),
    ...family.written,
    dtype: "float32",
  };
  return writtenConfig(json);
}
