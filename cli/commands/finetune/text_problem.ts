/** What the label of a text means: one class, any number of labels, or a value. Called by labeled_text.ts and by evaluate. */

import { ClozeError } from "../../../config/cloze_error.ts";
import { firstOf, grouped } from "../../../config/numbers.ts";
import type { LabeledText } from "../../../data/mod.ts";
import type { ModelFolder } from "../../../model/model_folder.ts";
import type { ProblemType } from "../../../model/model_heads.ts";
import { bold, note } from "../../terminal.ts";
import type { FinetuneOptions } from "./flags.ts";

/** Most labels that an error names. */
const MOST_LABELS = 10;

/** The kind that a text's records are of, said with the reason where it was not asked for by name. @throws {ClozeError} `input` */
export function problemType(
  records: readonly LabeledText[],
  folder: ModelFolder,
  values: FinetuneOptions,
): ProblemType {
  const asked = values["problem-type"], own = folder.heads.classifier?.problem_type;
  if (own !== undefined) {
    if (asked === undefined || asked === own) return own;
    throw new ClozeError("input", `${folder.path} is a model for ${own}, but --problem-type is ${asked}`, {
      hint: "fine-tune the pretrained model that it was made from",
    });
  }
  if (asked !== undefined) return asked;
  const say = (type: ProblemType, why: string) => {
    note(`${bold("task     ")}${type.replaceAll("_", " ")}: ${why}; --problem-type says otherwise`);
    return type;
  };
  if (values["label-separator"] !== undefined) return "multi_label_classification";
  const lists = records.filter(({ labels }) => labels !== undefined).length;
  if (lists > 0 && values["label-column"]?.includes(",")) return say("regression", "labels stand in several columns");
  const fraction = records.find((record) => valuesOf(record)?.some((value) => !Number.isInteger(value)));
  if (fraction !== undefined && records.every((record) => valuesOf(record) !== undefined)) {
    const what = lists > 0 ? "lists of numbers" : "numbers";
    const all = `all ${grouped(records.length)} labels of ${values.train} are ${what}`;
    return say("regression", `${all}, such as ${valuesOf(fraction)!.join(", ")}`);
  }
  return lists === 0
    ? "single_label_classification"
    : say("multi_label_classification", `labels of ${values.train} are lists`);
}

/** A label as a value that fits 32 bits. */
function valueOf(label: string): number | undefined {
  return label.trim() !== "" && Number.isFinite(Math.fround(Number(label))) ? Number(label) : undefined;
}

/** The label of a record, or those of its list, as values; none if one is no number that fits 32 bits. */
export function valuesOf({ label, labels = [label] }: LabeledText): number[] | undefined {
  const values = labels.map(valueOf);
  return values.includes(undefined) ? undefined : values as number[];
}

/** The labels of a record of any number of them. Nothing between two separators is no label. */
export function labelsOf({ label, labels = [label] }: LabeledText): string[] {
  return [...new Set(labels)].filter((label) => label !== "");
}

/** What stands between the labels of a text, if it may have several. */
export function separatorOf(
  values: Pick<FinetuneOptions, "label-separator" | "problem-type">,
  { heads: { classifier } }: ModelFolder,
  recorded?: string,
): string | undefined {
  const type = classifier?.problem_type ?? values["problem-type"];
  return values["label-separator"] ?? recorded ?? (type === "multi_label_classification" ? "," : undefined);
}

/** The labels of a record as numbers, 1 where one holds. @throws {ClozeError} `input` if it has one that `whose` has not. */
export function labelTargets(
  records: readonly LabeledText[],
  labels: readonly string[],
  file: string,
  whose: string,
): number[][] {
  return records.map((record) => {
    const several = labelsOf(record);
    const other = several.find((name) => !labels.includes(name));
    if (other === undefined) return labels.map((name) => Number(several.includes(name)));
    const message = `${file} has the label ${JSON.stringify(other)}, but ${whose} has only ${
      firstOf(labels.map((label) => JSON.stringify(label)), MOST_LABELS)
    }`;
    throw new ClozeError("input", message, { hint: "--label-separator says what stands between labels" });
  });
}

/** @throws {ClozeError} `input` if a record has not a value for each of those. */
export function checkValues(records: readonly LabeledText[], file: string, labels: readonly string[]): void {
  const count = labels.length, other = records.find((record) => valuesOf(record)?.length !== count);
  if (other === undefined) return;
  const is = other.labels === undefined ? JSON.stringify(other.label) : `[${other.labels.join(", ")}]`;
  const message = `${file}: the label of a text is ${is}, but has to be ${
    count === 1 ? "a number" : `${count} numbers, ${firstOf(labels, MOST_LABELS)}`
  }`;
  throw new ClozeError("input", message, {
    hint: "--label-column says where the values are; for classes: --problem-type single_label_classification",
  });
}
