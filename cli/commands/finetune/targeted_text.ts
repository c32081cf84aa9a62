/** Texts with any number of labels, and texts with a value, as a fine-tuning takes them. Called by labeled_text.ts. */

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
import { checkValues, labelTargets } from "./text_problem.ts";
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
    const found = [...new Set(data.train.flatMap(({ label, labels = [label] }) => labels))].sort(byNumber);
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
    const sum = data.train.reduce((sum, { label, labels = [label] }) => sum + labels.length, 0);
    note(`         any number of them a text; on average ${(sum / train.texts).toFixed(2)}`);
    warnOfSeen(data, names);
  },
  mistakes: surestWrongLabels,
  check: (records, labels, file, whose) => void labelTargets(records, labels, file, whose),
};

/** A text has a value. */
export const VALUES: TextKind<TargetedSequence, Cut, RegressionEvaluation> = {
  ...TEXT_KIND,
  task: REGRESSION,
  problem_type: "regression",
  line: regressionLine,
  labels(data, folder, values) {
    const labels = folder.heads.classifier?.labels ?? [nameOf(values["label-column"])];
    if (labels.length !== 1) {
      throw new ClozeError("input", `${folder.path} predicts ${labels.length} values, and finetune trains one`, {
        hint: "fine-tune the pretrained model that it was made from",
      });
    }
    checkValues(data.train, values.train!);
    checkValues(data.valid, values.valid!);
    if (new Set(data.train.map(({ label }) => Number(label))).size < 2) {
      throw new ClozeError(
        "input",
        `all values of ${values.train} are ${data.train[0].label}: there is nothing to learn`,
        {
          hint: "--label-column says where the values are",
        },
      );
    }
    return labels;
  },
  heads: headsOf("regression"),
  cut: (records, _, folder, config, sample) =>
    cutTexts(records, folder, config, sample, ({ label }) => ({ targets: [Number(label)] })),
  say(data, { train, valid }, _, names) {
    const values = data.train.map(({ label }) => Number(label));
    const [least, most] = [Math.min, Math.max].map((of) => values.reduce((a, b) => of(a, b)));
    const what = counted(train.texts, data.train[0].pair === undefined ? "text" : "pair");
    note(
      `${bold("data     ")}${what} to train on, ${grouped(valid.texts)} to measure on; values from ${least} to ${most}`,
    );
    warnOfSeen(data, names);
  },
  mistakes: largestErrors,
  check: (records, _, file) => checkValues(records, file),
};

/** A value is called like its column, if that has a name. */
function nameOf(column = "label"): string {
  return /^\d+$/.test(column) ? "label" : column;
}
