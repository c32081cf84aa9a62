/** What stands on a model's encoder, as a Hugging Face `config.json` says it. The encoder itself is in `model_config.ts`. */

import { ClozeError } from "../config/cloze_error.ts";
import type { EngineHeads } from "../config/engine.ts";
import { own, parseJsonObject, shown } from "../config/json_object.ts";
import type { ModelConfig } from "../config/model_config.ts";
import { FAMILIES, familyOf } from "./families.ts";
import type { Family } from "./family.ts";
import { DECODER, HEAD_KINDS, type HeadKind, UNNAMED } from "./head_kinds.ts";

/** The heads of a model folder. */
export interface ModelHeads {
  /** The task that its class is for. */
  task: HeadKind;
  /** Whether it predicts tokens: masked ones, or the next one of a decoder. */
  tokens: boolean;
  /** Whether it tells if the second segment follows the first. */
  next_sentence: boolean;
  /** Whether a token sees only what stands before it. */
  is_decoder: boolean;
  /** What tells classes of sequences, if there is such a head. */
  classifier: ClassifierHead | null;
}

/** A head that tells classes of sequences. */
export interface ClassifierHead {
  /** Names of the classes by their number. */
  labels: string[];
  classifier_dropout: number;
  /** Whether a text may have any number of the labels, each with a probability of its own. */
  multi_label: boolean;
}

/** The heads of a kind that needs no more than its name. */
export function headsOf(task: HeadKind): ModelHeads {
  const { tokens, next_sentence, is_decoder } = HEAD_KINDS[task];
  return { task, tokens, next_sentence, is_decoder, classifier: null };
}

/** The heads of a classifier; of a decoder it pools the last token, because the first one sees only itself. */
export function classifierHeads(classifier: ClassifierHead, is_decoder: boolean): ModelHeads {
  return { ...headsOf("sequence_classification"), is_decoder, classifier };
}

/** What an engine is opened with for everything that these heads can do. */
export function engineHeads({ tokens, next_sentence, is_decoder, classifier }: ModelHeads): EngineHeads {
  const pools = is_decoder ? "last" : "first";
  const sequence = classifier !== null
    ? {
      kind: "classification" as const,
      num_labels: classifier.labels.length,
      classifier_dropout: classifier.classifier_dropout,
      pools: pools as "first" | "last",
    }
    : next_sentence
    ? { kind: "next_sentence" as const, num_labels: 2, classifier_dropout: 0, pools: "first" as const }
    : null;
  return { tokens, sequence, is_decoder, freeze_encoder: false };
}

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
  const kind = family.architectures[architecture];
  if (HEAD_KINDS[kind].labels) return classifierOf(json, family, path);
  if (isLeftToRight(json, family)) {
    throw new ClozeError("input", `${path}: model_type is a classifier's, but architectures says ${architecture}`);
  }
  return headsOf(own(json, "is_decoder") === true ? DECODER : kind);
}

/** The class that is written for a kind of head. */
export function nameOf(kind: HeadKind, architectures: Family["architectures"]): string {
  return Object.entries(architectures).find(([, other]) => other === kind)![0];
}

/** Whether a `config.json` is of a left-to-right classifier. */
function isLeftToRight(json: Record<string, unknown>, { left_to_right_classifier }: Family): boolean {
  return left_to_right_classifier !== undefined && own(json, "model_type") === left_to_right_classifier;
}

/** What an engine is opened with to predict tokens alone. */
export function tokenHeads(heads: ModelHeads): EngineHeads {
  return { ...engineHeads(heads), sequence: null };
}

/** The first architecture that is named. */
function architectureOf(json: Record<string, unknown>, { architectures }: Family, path: string): string {
  const named = own(json, "architectures") ?? [];
  if (!Array.isArray(named) || !named.every((name) => typeof name === "string")) {
    throw new ClozeError("input", `${path}: architectures is ${shown(named)}, but has to be an array of names`);
  }
  const architecture: string = named[0] ?? nameOf(UNNAMED, architectures);
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
  const multi_label = problem === "multi_label_classification";
  return classifierHeads({ labels: labelsOf(json, path), classifier_dropout: dropout, multi_label }, left_to_right);
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
  const { task, is_decoder, classifier } = heads;
  const special = classifier === null ? {} : {
    classifier_dropout: classifier.classifier_dropout,
    id2label: Object.fromEntries(classifier.labels.map((label, id) => [id, label])),
    label2id: Object.fromEntries(classifier.labels.map((label, id) => [label, id])),
    problem_type: classifier.multi_label ? "multi_label_classification" : "single_label_classification",
    ...(is_decoder ? { model_type: family.left_to_right_classifier } : {}),
  };
  const json = {
    architectures: [nameOf(task, family.architectures)],
    ...config,
    ...special,
    ...(is_decoder ? { is_decoder } : {}),
    ...family.written,
    dtype: "float32",
  };
  return JSON.stringify(json, null, 2) + "\n";
}
