/**
 * What stands on a model's encoder, as a Hugging Face `config.json` says it. The encoder itself is in `model_config.ts`; both
 * are written in `written_config.ts`.
 */

import { ClozeError } from "../config/cloze_error.ts";
import type { EngineHeads } from "../config/engine.ts";
import { own, parseJsonObject, shown } from "../config/json_object.ts";
import type { ModelConfig } from "../config/model_config.ts";
import { familyOf, familyOfModel, fieldName } from "./families.ts";
import type { Family } from "./family.ts";
import { DECODER, HEAD_KINDS, type HeadKind, UNNAMED } from "./head_kinds.ts";

/**
 * What the outputs of a head on sequences mean: one class of several, any number of labels with a probability each, or
 * values as they are.
 */
export const PROBLEM_TYPES = ["single_label_classification", "multi_label_classification", "regression"] as const;

/** A name in {@linkcode PROBLEM_TYPES}. */
export type ProblemType = typeof PROBLEM_TYPES[number];

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
  /** What tells classes of tokens, if there is such a head. */
  token_classifier: TokenClassifierHead | null;
}

/** A head that tells classes of tokens. */
export interface TokenClassifierHead {
  /** Names of its outputs by their number. */
  labels: string[];
  /** In front of the last layer. */
  classifier_dropout: number;
}

/** A head that tells classes, or values, of sequences. */
export interface ClassifierHead extends TokenClassifierHead {
  /** What its outputs are. */
  problem_type: ProblemType;
}

/** The heads of a kind that needs no more than its name. */
export function headsOf(task: HeadKind): ModelHeads {
  const { tokens, next_sentence, is_decoder } = HEAD_KINDS[task];
  return { task, tokens, next_sentence, is_decoder, classifier: null, token_classifier: null };
}

/** The heads of a classifier; of a decoder it pools the last token, because the first one sees only itself. */
export function classifierHeads(classifier: ClassifierHead, is_decoder: boolean): ModelHeads {
  return { ...headsOf("sequence_classification"), is_decoder, classifier };
}

/** The heads of a token classifier. */
export function tokenClassifierHeads(token_classifier: TokenClassifierHead): ModelHeads {
  return { ...headsOf("token_classification"), token_classifier };
}

/** What next-sentence prediction tells of a pair, by number as in transformers. */
const NEXT_SENTENCE_LABELS = ["is next", "not next"];

/** What tells something of sequences, if there is such a head: next-sentence prediction is a classifier of pairs. */
export function sequenceHead({ classifier, next_sentence }: ModelHeads): ClassifierHead | null {
  if (classifier !== null || !next_sentence) return classifier;
  return { labels: NEXT_SENTENCE_LABELS, problem_type: PROBLEM_TYPES[0], classifier_dropout: 0 };
}

/** What an engine is opened with for everything that these heads can do. */
export function engineHeads(heads: ModelHeads): EngineHeads {
  const { next_sentence, is_decoder, classifier, token_classifier } = heads;
  const pools = is_decoder ? "last" : "first";
  const sequence = classifier !== null
    ? {
      kind: "classification" as const,
      num_labels: classifier.labels.length,
      problem_type: classifier.problem_type,
      classifier_dropout: classifier.classifier_dropout,
      pools: pools as "first" | "last",
    }
    : next_sentence
    ? {
      kind: "next_sentence" as const,
      num_labels: 2,
      problem_type: PROBLEM_TYPES[0],
      classifier_dropout: 0,
      pools: "first" as const,
    }
    : null;
  const tokens = token_classifier !== null
    ? {
      kind: "classification" as const,
      num_labels: token_classifier.labels.length,
      classifier_dropout: token_classifier.classifier_dropout,
    }
    : heads.tokens
    ? { kind: "masked_lm" as const }
    : null;
  return { tokens, sequence, is_decoder, freeze_encoder: false };
}

/** Outputs of a head on sequences; the core's bound. */
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
  if (HEAD_KINDS[kind].labels === "sequences") return classifierOf(json, family, path);
  if (isLeftToRight(json, family)) {
    throw new ClozeError("input", `${path}: model_type is a classifier's, but architectures says ${architecture}`, {
      hint: "config.json was changed, or is of another program",
    });
  }
  if (HEAD_KINDS[kind].labels === "tokens") return tokenClassifierOf(json, family, path);
  return headsOf(own(json, "is_decoder") === true ? DECODER : kind);
}

/** What transformers gives a new classifier of sequences: the family's own, or the encoder's dropout. */
export function classifierDropout(config: ModelConfig): number {
  return familyOfModel(config).classifier_dropout?.otherwise ?? config.hidden_dropout_prob;
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
    throw new ClozeError("input", `${path}: architectures is ${shown(named)}, but has to be an array of names`, {
      hint: `for example ["${nameOf(UNNAMED, architectures)}"]`,
    });
  }
  const architecture: string = named[0] ?? nameOf(UNNAMED, architectures);
  if (Object.hasOwn(architectures, architecture)) return architecture;
  throw new ClozeError("input", `${path}: the architecture is ${shown(architecture)}, which cloze does not know`, {
    hint: `it knows ${
      Object.keys(architectures).join(", ")
    }; if it computes what one of these does: --as with its name`,
  });
}

function classifierOf(json: Record<string, unknown>, family: Family, path: string): ModelHeads {
  const left_to_right = isLeftToRight(json, family);
  if (own(json, "is_decoder") === true && !left_to_right) {
    throw new ClozeError("input", `${path}: is_decoder is true, but a classifier sees the whole text`, {
      hint: "transformers would hide what follows and still pool the first token: use another model",
    });
  }
  const classifier_dropout = dropoutOf(json, family.classifier_dropout ?? likeEncoder(json, family), path);
  const problem = own(json, "problem_type") ?? PROBLEM_TYPES[0];
  const problem_type = PROBLEM_TYPES.find((known) => known === problem);
  if (problem_type === undefined) {
    throw new ClozeError("input", `${path}: problem_type is ${shown(problem)}, which cloze does not know`, {
      hint: `it knows ${PROBLEM_TYPES.join(", ")}`,
    });
  }
  return classifierHeads({ labels: labelsOf(json, path), classifier_dropout, problem_type }, left_to_right);
}

/** A field of the dropout of classifiers that a family has of its own is for those of sequences only. */
function tokenClassifierOf(json: Record<string, unknown>, family: Family, path: string): ModelHeads {
  if (own(json, "is_decoder") === true) {
    throw new ClozeError("input", `${path}: is_decoder is true, but a token classifier sees the whole text`, {
      hint: "use another model",
    });
  }
  const classifier_dropout = dropoutOf(json, likeEncoder(json, family), path);
  return tokenClassifierHeads({ labels: labelsOf(json, path), classifier_dropout });
}

/** Where the dropout of a classifier stands, and what it is otherwise: the encoder's. */
function likeEncoder(json: Record<string, unknown>, family: Family): { field: string; otherwise: unknown } {
  return {
    field: "classifier_dropout",
    otherwise: own(json, fieldName(family, "hidden_dropout_prob") ?? "") ?? 0,
  };
}

function dropoutOf(
  json: Record<string, unknown>,
  { field, otherwise }: { field: string; otherwise: unknown },
  path: string,
): number {
  const dropout = own(json, field) ?? otherwise;
  if (typeof dropout === "number" && dropout >= 0 && dropout < 1) return dropout;
  throw new ClozeError("input", `${path}: ${field} is ${shown(dropout)}, but has to be a number from 0 to below 1`, {
    hint: "mend config.json",
  });
}

/** Names of the classes by their number, and whether there are as many as `num_labels` says. */
function labelsOf(json: Record<string, unknown>, path: string): string[] {
  const count = own(json, "num_labels"), named = own(json, "id2label") ?? undefined;
  const isCount = typeof count === "number" && Number.isInteger(count) && count >= 1 && count <= MOST_LABELS;
  if (count !== undefined && count !== null && !isCount) {
    throw new ClozeError(
      "input",
      `${path}: num_labels is ${shown(count)}, but has to be a whole number from 1 to ${MOST_LABELS}`,
      { hint: "mend config.json" },
    );
  }
  // transformers writes id2label for other numbers than two only.
  if (named === undefined) return Array.from({ length: isCount ? count : 2 }, (_, id) => `LABEL_${id}`);
  const wrong = (found: string) =>
    new ClozeError("input", `${path}: id2label has to name the classes from 0 on; ${found}`, {
      hint: "mend config.json",
    });
  if (typeof named !== "object" || Array.isArray(named)) throw wrong(`it is ${shown(named)}`);
  const names = named as Record<string, unknown>;
  const length = Object.keys(names).length;
  if (length < 1 || length > MOST_LABELS) throw wrong(`it has ${length}`);
  const labels = Array.from({ length }, (_, id) => {
    const label = own(names, String(id));
    if (typeof label !== "string") throw wrong(`the name of ${id} is ${shown(label)}`);
    return label;
  });
  if (isCount && count !== length) {
    throw new ClozeError("input", `${path}: num_labels is ${count}, but id2label names ${length} classes`, {
      hint: "one of the two is wrong: the classifier has as many rows as there are classes",
    });
  }
  return labels;
}
