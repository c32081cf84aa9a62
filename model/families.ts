/** The families of models that can be read and written. */

import { ClozeError } from "../config/cloze_error.ts";
import { own, shown } from "../config/json_object.ts";
import { type ModelConfig, type Preset, presetConfig } from "../config/model_config.ts";
import { bert } from "./families/bert.ts";
import { distilbert } from "./families/distilbert.ts";
import { electra } from "./families/electra.ts";
import { megatronBert } from "./families/megatron_bert.ts";
import { modernbert } from "./families/modernbert.ts";
import { camembert, roberta, xlmRoberta } from "./families/roberta.ts";
import type { Family } from "./family.ts";
import type { HeadKind } from "./head_kinds.ts";

/** Every family; the first is the one of a `config.json` without `model_type`. */
export const FAMILIES: readonly Family[] = [
  bert,
  megatronBert,
  roberta,
  xlmRoberta,
  camembert,
  distilbert,
  electra,
  modernbert,
];

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
    hint: "if it computes what one of these does, give --as with its name; other architectures cannot be loaded",
  });
}

/** The family of a model. */
export function familyOfModel({ model_type }: Pick<ModelConfig, "model_type">): Family {
  return FAMILIES.find((family) => family.model_type === model_type)!;
}

/** A new model of a preset's size, with a family's published settings; `vocab_size` is 1 unless given. */
export function newModel(preset: Preset, model_type: string = FAMILIES[0].model_type, vocab_size = 1): ModelConfig {
  const { defaults, preset: settings, shape } = familyOfModel({ model_type });
  const model = presetConfig(preset, vocab_size, { ...defaults, ...settings });
  return { ...model, ...shape?.(model.num_hidden_layers, model.hidden_size) };
}

/** What a family's `config.json` calls a field; `null` if it has none like it. */
export function fieldName({ names }: Family, field: keyof ModelConfig): string | null {
  const name = names?.[field];
  return name === undefined ? field : name;
}

/** Tokens of the longest text that a model takes, the special ones at its ends among them. */
export function longestText(config: Omit<ModelConfig, "vocab_size">): number {
  return familyOfModel(config).longest?.(config) ?? config.max_position_embeddings;
}

/** @throws {ClozeError} `usage` if a model's family has no class with the heads of a kind. */
export function checkKind(model: Pick<ModelConfig, "model_type">, kind: HeadKind): void {
  const { model_type, architectures } = familyOfModel(model);
  if (Object.values(architectures).includes(kind)) return;
  const known = [...new Set(Object.values(architectures))].filter((kind) => kind !== "none");
  throw new ClozeError("usage", `a model of the family ${model_type} cannot be trained for ${kind}`, {
    hint: `no class of it has such heads; it is there for ${known.join(", ")}`,
  });
}

/**
 * A `config.json` as if it named a family, or one of a family's classes.
 *
 * @param as such as `bert`, for the family's class that has the same head by its name, or `BertForMaskedLM`.
 * @throws {ClozeError} `usage` if it is neither, or says nothing of the head.
 */
export function readAs(json: Record<string, unknown>, as: string, path: string): Record<string, unknown> {
  const family = FAMILIES.find(({ model_type, architectures }) =>
    as === model_type || Object.hasOwn(architectures, as)
  );
  if (family === undefined) {
    const known = FAMILIES.flatMap(({ model_type, architectures }) => [model_type, ...Object.keys(architectures)]);
    throw new ClozeError("usage", `--as ${as} names no model that cloze runs`, { hint: `it runs ${known.join(", ")}` });
  }
  const { model_type, architectures } = family;
  const architecture = as === model_type ? sameHead(json, family) : as;
  if (architecture === undefined) {
    throw new ClozeError("usage", `--as ${as} does not say what stands on the encoder, and neither does ${path}`, {
      hint: `give the class: --as ${Object.keys(architectures).join(", or ")}`,
    });
  }
  const { auto_map: _, ...rest } = json;
  return { ...rest, model_type, architectures: [architecture] };
}

/** The class of a family whose head is that of the first class that a `config.json` names, such as `…ForMaskedLM`. */
function sameHead(json: Record<string, unknown>, { architectures }: Family): string | undefined {
  const named = own(json, "architectures");
  const [first] = Array.isArray(named) ? named : [];
  if (typeof first !== "string") return undefined;
  return Object.keys(architectures).find((name) => first.endsWith(name.replace(/^.*?(?=For|LMHead|Model$)/, "")));
}
