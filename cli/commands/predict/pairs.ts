/** Lines that are pairs of texts, for models that were trained with such. */

import { ClozeError } from "../../../config/cloze_error.ts";
import { exists } from "../../../config/folder.ts";
import { readFinetuning } from "../../../run/finetune_record.ts";

/** A line as texts. */
export interface LineTexts {
  input: string;
  pair?: string;
}

/** Whether a model's folder says that finetune made it of pairs. */
export async function madeOfPairs(folder: string): Promise<boolean> {
  return await exists(`${folder}/finetune.json`) && (await readFinetuning(folder)).flags?.["pair-column"] !== undefined;
}

/** The texts of a line. @throws {ClozeError} `input` if it has to be a pair and is none. */
export function textsOf(line: string, pairs: boolean): LineTexts {
  if (!pairs) return { input: line };
  const [input, pair, ...more] = line.split("\t");
  if (pair !== undefined && more.length === 0) return { input, pair };
  const count = more.length + (pair === undefined ? 0 : 1);
  throw new ClozeError(
    "input",
    `a pair is two texts with a tab between them, and there ${count === 0 ? "is none" : `are ${count}`}`,
    {
      hint: "give a line such as: What is it?<tab>A cat.",
    },
  );
}
