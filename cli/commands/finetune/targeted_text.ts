/** Texts with any number of labels, and texts with a value or several, as a fine-tuning takes them. Called by labeled_text.ts. */

import { ClozeError } from "../../../config/cloze_error.ts";
import type { RegressionEvaluation } from "../../../config/metric.ts";
import { counted, grouped } from "../../../config/numbers.ts";
import type { LabeledText } from "../../../data/mod.ts";
import type { ModelFolder } from "../../../model/model_folder.ts";
import { classifierDropout, classifierHeads, type ProblemType } from "../../../model/model_heads.ts";
import {
  MULTI_LABEL_CLASSIFICATION,
  surestWrongLabels,
  type TargetedSequence,
} from "../../../tasks/multi_label_classification.ts";
import { largestErrors, REGRESSION } from "../../../tasks/regression.ts";
import { classificationLine, regressionLine } from "../../../tasks/sequence_classification.ts";
import { bold, note } from "../../terminal.ts";
import { cutTexts } from "./cut_texts.ts";
import type { FinetuneOptions } from "./flags.ts";
import type { Both, CutFile } from "./kind.ts";
import { byNumber, TEXT_KIND, type TextKind, warnOfSeen } from "./text.ts";
import { checkValues, labelsOf, labelTargets, valuesOf } from "./text_problem.ts";
import { sayData } from "./view.ts";

type Cut = CutFile<TargetedSequence>;

const headsOf = (problem_type: ProblemType) => (labels: string[], { config, heads: { is_decoder } }: ModelFolder) =>
  classifierHeads({ labels, classifier_dropout: classifierDropout(config), problem_type }, is_decoder);

/** A text has any number of labels. */
export const SEVERAL_LABELS: TextKind<TargetedSequence, Cut> = {
  ...TEXT_KIND,
  task: MULTI_LABEL_CLASSIFICATION,
  problem_type: "multi_label_classification",
  line: classificationLine,
  labels(data: Both<LabeledText[]>, folder: ModelFolder, values: FinetuneOptions): string[] {
    if (values["label-column"]?.includes(",") && data.train[0].labels !== undefined) {
      throw new ClozeError("input", `--label-column names several columns, and those are for values`, {
        hint: "for any number of labels give one column, with a list, or with labels and a separator between them",
      });
    }
    const found = [...new Set(data.train.flatMap(labelsOf))].sort(byNumber);
    if (found.length === 0) {
      throw new ClozeError("input", `no text of ${values.train} has a label`, {
        hint: "--label-column says where they are",
      });
    }
    if (found.length > Math.max(100, data.train.length / 10)) {
      throw new ClozeError(
        "input",
        `${values.train} has ${found.length} labels in ${counted(data.train.length, "record")}`,
        {
          hint: "--label-separator says what stands between them, --label-column where they are",
        },
      );
    }
    const labels = folder.heads.classifier?.labels ?? found;
    const whose = labels === found ? values.train! : folder.path;
    labelTargets(data.train, labels, values.train!, whose);
    labelTargets(data.valid, labels, values.valid!, whose);
    return labels;
  },
  heads: headsOf("multi_label_classification"),
  cut: (records, labels, folder, config, sample) => {
    const targets = labelTargets(records, labels, "the file", folder.path);
    let i = 0;
    return cutTexts(records, folder, config, sample, () => ({ targets: targets[i++] }));
  },
  say(data, { train, valid }, labels, names) {
    sayData(counted(train.texts, data.train[0].pair === undefined ? "text" : "pair"), valid.texts, labels);
    const sum = data.train.reduce((sum, record) => sum + labelsOf(record).length, 0);
    note(`         any number of them a text; on average ${(sum / train.texts).toFixed(2)}`);
    warnOfSeen(data, names);
  },
  mistakes: surestWrongLabels,
  check: (records, labels, file, whose) => void labelTargets(records, labels, file, whose),
};

/** A text has a value, or several. */
export const VALUES: TextKind<TargetedSequence, Cut, RegressionEvaluation> = {
  ...TEXT_KIND,
  task: REGRESSION,
  problem_type: "regression",
  line: regressionLine,
  labels(data, folder, values) {
    const count = data.train[0].labels?.length ?? 1;
    const labels = folder.heads.classifier?.labels ?? namesOf(values["label-column"], count);
    checkValues(data.train, values.train!, labels);
    checkValues(data.valid, values.valid!, labels);
    if (new Set(data.train.map((record) => valuesOf(record)!.join())).size < 2) {
      throw new ClozeError(
        "input",
        `all values of ${values.train} are ${valuesOf(data.train[0])!.join(", ")}: there is nothing to learn`,
        {
          hint: "--label-column says where the values are",
        },
      );
    }
    return labels;
  },
  heads: headsOf("regression"),
  cut: (records, _, folder, config, sample) =>
    cutTexts(records, folder, config, sample, (record) => ({ targets: valuesOf(record)! })), // checked
  say(data, { train, valid }, labels, names) {
    const values = data.train.map((record) => valuesOf(record)!);
    const ranges = labels.map((label, k) => {
      const [least, most] = [Math.min, Math.max].map((of) => values.map((all) => all[k]).reduce((a, b) => of(a, b)));
      return `${labels.length === 1 ? "values" : label} from ${least} to ${most}`;
    });
    const what = counted(train.texts, data.train[0].pair === undefined ? "text" : "pair");
    const which = ranges.length > 10 ? `${ranges.length} values each` : ranges.join(", ");
    note(`${bold("data     ")}${what} to train on, ${grouped(valid.texts)} to measure on; ${which}`);
    warnOfSeen(data, names);
  },
  mistakes: largestErrors,
  check: (records, labels, file) => checkValues(records, file, labels),
};

/** Values are called like their columns, if those have names, and otherwise as transformers calls what has none. */
function namesOf(column = "label", count: number): string[] {
  const columns = column.split(",");
  const twice = columns.find((name, i) => columns.indexOf(name) < i);
  if (twice !== undefined) throw new ClozeError("usage", `--label-column names the column ${twice} twice`);
  if (columns.length === count && !columns.some((name) => /^\d+$/.test(name))) return columns;
  return count === 1 ? ["label"] : Array.from({ length: count }, (_, i) => `LABEL_${i}`);
}
