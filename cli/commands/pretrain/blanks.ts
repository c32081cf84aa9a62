/** The sentences with a blank that a run fills as it goes, and offers to try when it has ended. */

import { type Blank, heldOutBlanks, PRACTICE_BLANKS, type PreparedData } from "../../../data/mod.ts";
import { pretrainingTask } from "../../../tasks/registry.ts";
import type { Tokenizer } from "../../../tokenizer/mod.ts";
import type { Plan } from "./plan.ts";

/** Most sentences that are filled at an evaluation. */
const WATCHED_BLANKS = 8;

/** Sentences of the held-out text, or of the practice corpus. */
export function blanksOf({ training, corpus }: Plan, { heldOut }: PreparedData, tokenizer: Tokenizer): Blank[] {
  if (!pretrainingTask(training.objective).masks) return []; // its model does not see what follows a blank
  if (corpus === "practice") return PRACTICE_BLANKS.map((text) => ({ text }));
  return heldOutBlanks(heldOut, tokenizer, WATCHED_BLANKS, training.max_sequence_length - 2);
}

/** A sentence to type: one that a shell takes as it is, if there is one. */
export function toTry(blanks: readonly Blank[]): string | undefined {
  return (blanks.find(({ text }) => !/["'`\\]/.test(text)) ?? blanks[0])?.text;
}
