/** Labeled text as a fine-tuning takes it: read, with its classes, and cut into sequences. */

import { ClozeError } from "../../../config/cloze_error.ts";
import { counted } from "../../../config/numbers.ts";
import type { LabeledText } from "../../../data/mod.ts";
import type { ModelFolder } from "../../../model/model_folder.ts";
import { classifierDropout, classifierHeads, type ProblemType } from "../../../model/model_heads.ts";
import {
  classificationLine,
  type ClassifiedSequence,
  SEQUENCE_CLASSIFICATION,
} from "../../../tasks/sequence_classification.ts";
import { surestMistakes } from "../../../tasks/surest_mistakes.ts";
import { cutTexts } from "./cut_texts.ts";
import type { FinetuneOptions } from "./flags.ts";
import type { Kind } from "./kind.ts";
import { SEVERAL_LABELS, VALUES } from "./targeted_text.ts";
import { byNumber, TEXT_KIND, type TextKind, warnOfTexts } from "./text.ts";
import { problemType } from "./text_problem.ts";
import { sayData } from "./view.ts";

/** The classes: those of a classifier that is trained further, or those of the training file. */
function labelsOf(
  data: { train: LabeledText[]; valid: LabeledText[] },
  folder: ModelFolder,
  values: FinetuneOptions,
): string[] {
  refuseLists(data.train, values.train!);
  const found = [...new Set(data.train.map(({ label }) => label))].sort(byNumber);
  if (found.length < 2) {
    throw new ClozeError("input", `${values.train} has one class only, ${JSON.stringify(found[0])}`, {
      hint: "a classifier needs at least two; --label-column says where they are",
    });
  }
  if (found.length > Math.max(100, data.train.length / 10)) {
    throw new ClozeError(
      "input",
      `${values.train} has ${found.length} classes in ${counted(data.train.length, "record")}`,
      {
        hint: "--label-column says where the classes are",
      },
    );
  }
  const { classifier } = folder.heads;
  const labels = classifier?.labels ?? found;
  const whose = labels === found ? values.train! : folder.path;
  checkClasses(data.train, labels, values.train!, whose);
  checkClasses(data.valid, labels, values.valid!, whose);
  return labels;
}

function refuseLists(records: readonly LabeledText[], file: string): void {
  const list = records.find(({ labels }) => labels !== undefined);
  if (list === undefined) return;
  throw new ClozeError("input", `${file}: the label ${list.label} is a list, and a text has one class`, {
    hint: "for any number of labels: --problem-type multi_label_classification",
  });
}

/** @throws {ClozeError} `input` if a text has another class than those `whose` has. */
function checkClasses(records: readonly LabeledText[], labels: readonly string[], file: string, whose: string): void {
  refuseLists(records, file);
  const other = records.find(({ label }) => !labels.includes(label));
  if (other === undefined) return;
  throw new ClozeError(
    "input",
    `${file} has the class ${JSON.stringify(other.label)}, but ${whose} has only ` +
      labels.map((label) => JSON.stringify(label)).join(", "),
  );
}

/** A text gets one of several classes. */
const CLASSES: TextKind<ClassifiedSequence> = {
  ...TEXT_KIND,
  task: SEQUENCE_CLASSIFICATION,
  line: classificationLine,
  labels: labelsOf,
  heads: (labels, { config, heads: { is_decoder } }) =>
    classifierHeads(
      { labels, classifier_dropout: classifierDropout(config), problem_type: "single_label_classification" },
      is_decoder,
    ),
  cut: (records, labels, folder, config, sample) =>
    cutTexts(records, folder, config, sample, ({ label }) => ({ label: labels.indexOf(label) })),
  say(data, { train, valid }, labels, names) {
    sayData(counted(train.texts, data.train[0].pair === undefined ? "text" : "pair"), valid.texts, labels);
    warnOfTexts(data, labels, names);
  },
  mistakes: surestMistakes,
  check: checkClasses,
};

// deno-lint-ignore no-explicit-any
const KINDS: Record<ProblemType, TextKind<any, any, any>> = {
  single_label_classification: CLASSES,
  multi_label_classification: SEVERAL_LABELS,
  regression: VALUES,
};

/** The kind of texts whose labels mean that. */
// deno-lint-ignore no-explicit-any
export function kindOfTexts(type: ProblemType): TextKind<any, any, any> {
  return KINDS[type];
}

/** Texts with labels, of which the records say whether they are classes, several labels or values. */
export const TEXTS: Kind<LabeledText, ClassifiedSequence> = {
  ...CLASSES,
  refine(data, folder, values) {
    if (folder.heads.token_classifier !== null) {
      throw new ClozeError("input", `${folder.path} classifies tokens, and the files have a label for each text`, {
        hint: "fine-tune the pretrained model that it was made from",
      });
    }
    return KINDS[problemType(data.train, folder, values)];
  },
};
