/** What the kinds of fine-tuning on texts share, and what is warned of in texts. Called by the finetune command. */

import { grouped, percent } from "../../../config/numbers.ts";
import { CorpusReport, type LabeledText, readLabeled } from "../../../data/mod.ts";
import type { ClassifierEvaluation } from "../../../config/metric.ts";
import type { ModelFolder } from "../../../model/model_folder.ts";
import type { RecordedColumns } from "../../../run/finetune_record.ts";
import { SEEN_SHARE } from "../../../training/watchdogs.ts";
import { corpusConfig, noteFindings, textColumn } from "../../corpus.ts";
import { resolve } from "../../paths.ts";
import { warn } from "../../terminal.ts";
import type { FinetuneOptions } from "./flags.ts";
import type { CutFile, Kind } from "./kind.ts";
import { separatorOf } from "./text_problem.ts";

/** The flags that say where a record's text and label are. */
type Columns = Pick<
  FinetuneOptions,
  "text-column" | "label-column" | "pair-column" | "label-separator" | "problem-type"
>;

/**
 * The records of a file; says what was wrong with it.
 *
 * @param recorded the columns that the model was fine-tuned with, taken where flags do not name them.
 */
export async function readTexts(
  file: string,
  values: Columns & Parameters<typeof corpusConfig>[0],
  folder: ModelFolder,
  recorded: RecordedColumns = {},
): Promise<LabeledText[]> {
  const text = textColumn(values), label = values["label-column"], pair = values["pair-column"];
  const separator = separatorOf(values, folder, recorded["label-separator"]);
  const columns = {
    ...(text === undefined ? {} : { text }),
    ...(label === undefined ? {} : { label }),
    ...(pair === undefined ? {} : { pair }),
    ...(separator === undefined ? {} : { separator }),
    trained: {
      text: recorded["text-column"],
      label: recorded["label-column"],
      pair: recorded["pair-column"],
    },
  };
  const report = new CorpusReport();
  const records = await readLabeled(resolve(file), columns, corpusConfig(values), report);
  noteFindings(report, file);
  return records;
}

/** A kind of fine-tuning on texts. */
export interface TextKind<
  S extends { ids: Int32Array },
  C extends CutFile<S> = CutFile<S>,
  E = ClassifierEvaluation,
> extends Kind<LabeledText, S, C, E> {
  /** @throws {ClozeError} `input` if a record of the file has a label that is none of those. `whose` they are. */
  check(records: readonly LabeledText[], labels: readonly string[], file: string, whose: string): void;
}

/** What every kind of fine-tuning on texts has. */
export const TEXT_KIND: Pick<Kind<LabeledText, never>, "unit" | "parts" | "read" | "isTrainedFurther"> = {
  unit: "text",
  parts: ["pooler", "classifier"],
  read: readTexts,
  isTrainedFurther: ({ classifier }) => classifier !== null,
};

/** Whole numbers by value, everything else by its characters. */
export function byNumber(a: string, b: string): number {
  const difference = Number(a) - Number(b);
  return Number.isNaN(difference) || difference === 0 ? (a < b ? -1 : 1) : difference;
}

/** Warns of texts to measure on that are trained on, of records without text, and of classes that are not measured. */
export function warnOfTexts(
  { train, valid }: { train: LabeledText[]; valid: LabeledText[] },
  labels: readonly string[],
  names: { train: string; valid: string },
): void {
  const unmeasured = labels.filter((label) => !valid.some((record) => record.label === label));
  if (unmeasured.length > 0) {
    warn(`${names.valid} has no text of the class ${unmeasured.join(", ")}: it is not measured`);
  }
  warnOfSeen({ train, valid }, names);
}

/** Warns of records without text, and of texts to measure on that are trained on. */
export function warnOfSeen(
  { train, valid }: { train: LabeledText[]; valid: LabeledText[] },
  names: { train: string; valid: string },
): void {
  for (const [records, name] of [[train, names.train], [valid, names.valid]] as const) {
    const empty = records.filter(({ text, pair }) => text.trim() === "" || pair?.trim() === "").length;
    if (empty === 0) continue;
    warn(
      `${grouped(empty)} of the ${grouped(records.length)} records of ${name} ${empty === 1 ? "has" : "have"} no text`,
      "they are classified like all others: leave them out unless you mean it",
    );
  }
  const key = ({ text, pair }: LabeledText) => pair === undefined ? text : `${text}\t${pair}`;
  const trained = new Set(train.map(key));
  const seen = valid.filter((record) => trained.has(key(record))).length / valid.length;
  if (seen <= SEEN_SHARE) return;
  warn(
    `${percent(seen)} of the texts of ${names.valid} are texts of ${names.train}, too`,
    "the figures on valid flatter the model there: leave these texts out of one of the two",
  );
}
