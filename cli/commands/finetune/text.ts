/** What `finetune` warns of in its texts before it trains on them. Called by the finetune command. */

import type { LabeledText } from "../../../data/mod.ts";
import { SEEN_SHARE } from "../../../training/watchdogs.ts";
import { grouped, percent, warn } from "../../terminal.ts";

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
    "the accuracy on valid flatters the model there: leave these texts out of one of the two",
  );
}
