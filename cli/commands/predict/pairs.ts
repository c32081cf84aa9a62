/** Pairs of texts, for models that take such: lines with a tab in them, or records with two columns of text. */

import { ClozeError } from "../../../config/cloze_error.ts";
import { columnIn, type ColumnsOf, hasColumn } from "../../../data/columns.ts";
import { recordedColumns } from "../../../run/finetune_record.ts";
import type { Texts } from "../../answer_source.ts";
import type { PredictOptions } from "./flags.ts";

/** Whether a model is given pairs, and how. */
export interface Pairs {
  isPair: boolean;
  /** Which columns of records they are; unless given, a record's text is cut at a tab as a line is. */
  columnsOf?: ColumnsOf;
}

/**
 * Whether the flags say that pairs are given, or the model's folder that finetune made it of such.
 *
 * @param only whether the model takes nothing else.
 * @throws {ClozeError} `input` if the record of its fine-tuning cannot be read.
 */
export async function pairsOf(path: string, values: PredictOptions, only: boolean): Promise<Pairs> {
  if (values.pairs === true) return { isPair: true };
  const recorded = await recordedColumns(path), { "text-column": text, "label-column": label = "label" } = recorded;
  const asked = values["pair-column"], pair = asked ?? recorded["pair-column"];
  if (pair === undefined) return { isPair: only };
  const columnsOf: ColumnsOf = (names) => {
    // What was there in training need not be in this file.
    if (asked === undefined && !hasColumn(names, pair)) return {};
    const others = names.filter((name) => name !== pair && name !== label);
    const known = values["text-column"] ?? values["text-field"] ??
      columnIn(names, text);
    const guess = known ?? (others.length === 1 ? others[0] : undefined);
    return { ...(guess === undefined ? {} : { text: guess }), pair };
  };
  return { isPair: true, columnsOf };
}

/** What is asked of a line, or of a record. @throws {ClozeError} `input` if it has to be a pair and is none. */
export function inputsOf({ text, pair }: Texts, isPair: boolean): { input: string; pair?: string } {
  if (!isPair) return { input: text };
  const hint = "give a line such as: What is it?<tab>A cat.";
  const [input, second, ...more] = pair === undefined ? text.split("\t") : [text, pair];
  if (second === undefined || more.length > 0) {
    const found = second === undefined ? "is none" : `are ${more.length + 1}`;
    throw new ClozeError("input", `a pair is two texts with a tab between them, and there ${found}`, {
      hint: `${hint} Of a file of records, --pair-column names the second text`,
    });
  }
  const missing = input.trim() === "" ? "first" : second.trim() === "" ? "second" : undefined;
  if (missing === undefined) return { input, pair: second };
  throw new ClozeError("input", `the ${missing} text of the pair is missing`, {
    hint: pair === undefined ? hint : "leave the record out, or give it both",
  });
}
