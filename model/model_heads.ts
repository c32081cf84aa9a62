/**
 * What stands on a model's encoder: the objective that it is trained for, and what a Hugging Face `config.json` says about
 * it. The encoder itself is in `model_config.ts`.
 */

import { ClozeError } from "../config/cloze_error.ts";
import { own, parseJsonObject, shown } from "../config/json_object.ts";
import type { ModelConfig } from "../config/model_config.ts";
import type { PretrainingObjective } from "../config/objective.ts";
import { FAMILIES, familyOf } from "./families.ts";
import type { Family, HeadKind } from "./family.ts";

/** The heads of a model folder. `none` is a bare encoder. */
export type ModelHeads =
  | { objective: PretrainingObjective | "none" }
  | {
    objective: "sequence_classification";
    labels: string[];
    classifier_dropout: number;
    left_to_right: boolean;
    /** Whether a text may have any number of the labels, each with a probability of its own. */
    multi_label?: boolean;
  };

/** Classes of a classifier; the core's bound. */
const MOST_LABELS = 2 ** 20;

/**
 * Reads the heads from the text of a `config.json`. Without `architectures` it is a masked language model.
 *
 * @throws {ClozeError} `input`, naming what cloze does not know.
 */
export function parseModelHeads(text: string, path: string): ModelHeads {
  const json = parseJsonObject(text, path);
  const family = familyOf(json, path);
  const architecture = architectureOf(json, family, path);
  const objective = family.architectures[architecture];
  const isDecoder = own(json, "is_decoder") === true;
  if (objective === "sequence_classification") return classifierOf(json, family, path);
  if (isLeftToRight(json, family)) {
    throw new ClozeError("input", `${path}: model_type is a classifier's, but architectures says ${architecture}`);
  }
  return { objective: isDecoder ? "clm" : objective };
}

/** The class that is written for a kind of head. */
function nameOf(kind: HeadKind, architectures: Family["architectures"]): string {
  return Object.entries(architectures).find(([, other]) => other === kind)![0];
}

/** Whether a `config.json` is of a left-to-right classifier. */
function isLeftToRight(json: Record<string, unknown>, { left_to_right_classifier }: Family): boolean {
  return left_to_right_classifier !== undefined && own(json, "model_type") === left_to_right_classifier;
}

/** The first architecture that is named. */
function architectureOf(json: Record<string, unknown>, { architectures }: Family, path: string): string {
  const named = own(json, "architectures") ?? [];
  if (!Array.isArray(named) || !named.every((name) => typeof name === "string")) {
    throw new ClozeError("input", `${path}: architectures is ${shown(named)}, but has to be an array of names`);
  }
  const architecture: string = named[0] ?? nameOf("mlm", architectures);
  if (Object.hasOwn(architectures, architecture)) return architecture;
  throw new ClozeError("input", `${path}: the architecture is ${shown(architecture)}, which cloze does not know`, {
    hint: `it knows ${Object.keys(architectures).join(", ")}`,
  });
}

function classifierOf(json: Record<string, unknown>, family: Family, path: string): ModelHeads {
  const left_to_right = isLeftToRight(json, family);
  if (own(json, "is_decoder") === true && !left_to_right) {
    throw new ClozeError("input", `${path}: is_decoder is true, but a classifier sees the whole text`);
  }
  const dropout = own(json, "classifier_dropout") ?? own(json, "hidden_dropout_prob") ?? 0;
  if (typeof dropout !== "number" || !(dropout >= 0 && dropout < 1)) {
    throw new ClozeError(
      "input",
      `${path}: classifier_dropout is ${shown(dropout)}, but has to be a number from 0 to below 1`,
    );
  }
  const problem = own(json, "problem_type") ?? "single_label_classification";
  if (problem !== "single_label_classification" && problem !== "multi_label_classification") {
    const expected = `cloze knows "single_label_classification" and "multi_label_classification"`;
    throw new ClozeError("input", `${path}: problem_type is ${shown(problem)}, but ${expected}`, {
      hint: problem === "regression" ? "a model that predicts numbers has no classes" : undefined,
    });
  }
  const labels = labelsOf(json, path);
  return {
    objective: "sequence_classification",
    labels,
    classifier_dropout: dropout,
    left_to_right,
    ...(problem === "multi_label_classification" ? { multi_label: true } : {}),
  };
}

/** Names of the classes by their number, and whether there are as many as `num_labels` says. */
function labelsOf(json: Record<string, unknown>, path: string): string[] {
  const count = own(json, "num_labels"), named = own(json, "id2label") ?? undefined;
  const isCount = typeof count === "number" && Number.isInteger(count) && count >= 2 && count <= MOST_LABELS;
  if (count !== undefined && count !== null && !isCount) {
    throw new ClozeError(
      "input",
      `${path}: num_labels is ${shown(count)}, but has to be a whole number from 2 to ${MOST_LABELS}`,
    );
  }
  // transformers writes id2label for other numbers than two only.
  if (named === undefined) return Array.from({ length: isCount ? count : 2 }, (_, id) => `LABEL_${id}`);
  const wrong = (found: string) =>
    new ClozeError("input", `${path}: id2label has to name the classes from 0 on, at least two; ${found}`);
  if (typeof named !== "object" || Array.isArray(named)) throw wrong(`it is ${shown(named)}`);
  const names = named as Record<string, unknown>;
  const length = Object.keys(names).length;
  if (length < 2 || length > MOST_LABELS) throw wrong(`it has ${length}`);
  const labels = Array.from({ length }, (_, id) => {
    const label = own(names, String(id));
    if (typeof label !== "string") throw wrong(`the name of ${id} is ${shown(label)}`);
    return label;
  });
  if (isCount && count !== length) {
    throw new ClozeError("input", `${path}: num_labels is ${count}, but id2label names ${length} classes`);
  }
  return labels;
}

/** The text of a `config.json` that transformers loads as the class of these heads. */
export function modelConfigJson(config: ModelConfig, heads: ModelHeads): string {
  const family = FAMILIES.find(({ model_type }) => model_type === config.model_type)!;
  const special = heads.objective === "sequence_classification"
    ? {
      classifier_dropout: heads.classifier_dropout,
      id2label: Object.fromEntries(heads.labels.map((label, id) => [id, label])),
      label2id: Object.fromEntries(heads.labels.map((label, id) => [label, id])),
      problem_type: heads.multi_label === true ? "multi_label_classification" : "single_label_classification",
      ...(heads.left_to_right ? { model_type: family.left_to_right_classifier, is_decoder: true } : {}),
    }
    : heads.objective === "clm"
    ? { is_decoder: true }
    : {};
  const json = {
    architectures: [nameOf(heads.objective, family.architectures)],
    ...config,
    ...special,
    ...family.written,
    dtype: "float32",
  };
  return JSON.stringify(json, null, 2) + "\n";
}
