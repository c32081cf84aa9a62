/**
 * Whether a text can be trained on and measured on. Some things are refused and others warned of: words that the vocabulary
 * cannot write, text in which nothing can be predicted or measured, held-out text that is trained on.
 */

import type { Batch } from "../../../config/batch.ts";
import { ClozeError } from "../../../config/cloze_error.ts";
import type { Warning } from "../../../config/metric.ts";
import type { PlannedTraining } from "../../../config/run_config.ts";
import { type PreparedData, type Shard, unknownOf } from "../../../data/mod.ts";
import { pretrainingTask } from "../../../tasks/registry.ts";
import { bothCounts, type Tokenizer } from "../../../tokenizer/mod.ts";
import { nothingHeldOut, repeatedText, seenText, unknownWords } from "../../../training/watchdogs.ts";
import { evaluationOptions } from "../../batch_options.ts";
import { checkUnknown, type UnknownWords, type Vocabulary } from "../../unknown_words.ts";
import type { Plan } from "./plan.ts";

/** Most held-out tokens that an evaluation looks at. */
const EVALUATION_TOKENS = 1 << 16;

/**
 * Whether the text can be trained on; what there is to warn of.
 *
 * @param allowed whether text is trained on however many of its words are unknown.
 * @throws {ClozeError} `input` if it cannot.
 */
export function checkText(
  plan: Plan,
  { train, heldOut }: PreparedData,
  tokenizer: Tokenizer,
  allowed: boolean,
): Warning[] {
  if (train.header.tokens === 0) throw new ClozeError("input", "there is not enough text to train on");
  const vocabulary: Vocabulary = plan.run.from !== undefined
    ? { from: "model", path: plan.run.from.path, extend: true }
    : { from: plan.tokenizerPath === undefined ? "text" : "tokenizer" };
  const checked = (found: UnknownWords, where?: string) => {
    const advice = checkUnknown(found, vocabulary, allowed, where);
    return advice === undefined ? [] : [unknownWords(advice)];
  };
  const warnings = plan.valid === undefined
    ? checked(unknownIn(train, tokenizer, heldOut))
    : [...checked(unknownIn(train, tokenizer)), ...checked(unknownIn(heldOut, tokenizer), "of --valid")];
  if (!train.counts.some((count, id) => count > 0 && !tokenizer.isSpecial(id))) {
    throw new ClozeError("input", "nothing in the text can be predicted: all of its words became [UNK]", {
      hint: "use a tokenizer that was made for this text, or learn one from it",
    });
  }
  // The practice corpus has few sentences by design, and is no text that one could mend.
  if (plan.corpus === "practice") return warnings;
  const found = [
    repeatedText(train.header.corpus?.duplicate_share ?? 0),
    seenText(heldOut.header.corpus?.in_training ?? 0),
  ];
  return [...warnings, ...found.filter((warning) => warning !== undefined)];
}

/** The held-out batches, or none, with a warning, if nothing is predicted in them: a measure over nothing is no figure. */
export function measuredBatches(
  { training, valid }: Plan,
  { heldOut }: PreparedData,
  tokenizer: Tokenizer,
): { heldOut: readonly Batch[]; warnings: Warning[] } {
  const batches = heldOutBatches(training, heldOut, tokenizer);
  const warnings = batches.length > 0 ? [] : [nothingHeldOut(heldOut.header, valid !== undefined)];
  return { heldOut: batches, warnings };
}

/** The same batches of held-out text each time; none if nothing is predicted in them. */
export function heldOutBatches(training: PlannedTraining, heldOut: Shard, tokenizer: Tokenizer): Batch[] {
  const task = pretrainingTask(training.objective);
  if (!task.suits(heldOut)) return [];
  const batches = task.heldOutBatches(heldOut, tokenizer, evaluationOptions(training), EVALUATION_TOKENS);
  return batches.some(({ labels }) => labels.length > 0) ? batches : [];
}

/** What became `[UNK]` in a part of the text, or in both. */
export function unknownIn(part: Shard, tokenizer: Tokenizer, other?: Shard): UnknownWords {
  const counts = unknownOf(part.counts, tokenizer);
  return {
    counts: other === undefined ? counts : bothCounts(counts, unknownOf(other.counts, tokenizer)),
    causes: part.header.corpus?.unknown,
  };
}
