/** What the figures of a fine-tuning are called, by what it is about. Called by the classifier's files. */

import type { ClassifierRecord } from "./classifier_record.ts";

type Run = Pick<ClassifierRecord, "run">;

/** Whether a text may have any number of labels. */
const isSets = ({ run }: Run): boolean => run.problem_type === "multi_label_classification";

/** What always the same answer is called: the commonest class, or set of labels. */
export const commonest = (record: Run): string =>
  isSets(record) ? "the commonest set of labels" : "the commonest class";

/** The share that is told right: of texts with sets of labels, that with all of them right. */
export const accuracyOf = (record: Run): string => isSets(record) ? "all labels right" : "accuracy";

/** What the loss is a mean over. */
export const lossUnit = (record: Run): string => isSets(record) ? "label" : record.run.unit ?? "text";

/** What a record of a file is. */
export const recordOf = ({ run }: Run): string => run.unit === "word" ? "sentence" : "text";

/** With a capital. */
export const titled = (words: string): string => words[0].toUpperCase() + words.slice(1);
