/** What a head on sequences makes of texts, whatever its outputs mean. Used by classifier.ts and regressor.ts. */

import { packLabeled } from "../config/batch.ts";
import { program } from "../config/called.ts";
import { ClozeError } from "../config/cloze_error.ts";
import { groupsByTokens } from "../config/packed_sequences.ts";
import type { Engine } from "../ffi/mod.ts";
import { longestText } from "../model/families.ts";
import type { ModelFolder } from "../model/model_folder.ts";
import { type ClassifierHead, engineHeads } from "../model/model_heads.ts";
import { type UnknownCounts, unknownCounts } from "../tokenizer/unknown_counts.ts";
import { answerLimits, folderOf, type GivenModel, type InferenceOptions, openBoth } from "./open_engine.ts";

/** A text as the model sees it. */
export interface PreparedText {
  ids: Int32Array;
  truncated: boolean;
  /** Of the whole text. */
  counts: UnknownCounts;
}

/** Tokens that the engine takes at once. */
const BATCH_TOKENS = 2048;

/** @throws {ClozeError} if the folder has no head on sequences, or it or the core cannot be used. */
export async function openSequenceHead(
  model: GivenModel,
  options: InferenceOptions,
): Promise<{ folder: ModelFolder; engine: Engine; head: ClassifierHead }> {
  const begun = await folderOf(model);
  const { heads, path } = begun;
  if (heads.classifier === null) {
    throw new ClozeError("input", `${path} does not classify: it has no classifier`, {
      hint: `fine-tune it: ${program()} finetune --model ${path} --train FILE --valid FILE --output DIR`,
    });
  }
  const most = answerLimits(begun, BATCH_TOKENS, 2);
  return { ...await openBoth(begun, engineHeads(heads), most, options), head: heads.classifier };
}

/** A text as the model sees it: `[CLS]`, its tokens as far as they fit, `[SEP]`. */
export function prepareText(text: string, { tokenizer, config }: ModelFolder): PreparedText {
  const { cls, sep } = tokenizer.special;
  const { ids } = tokenizer.encode(text);
  const most = longestText(config) - 2;
  const counts = unknownCounts(ids, tokenizer);
  return { ids: Int32Array.of(cls, ...ids.subarray(0, most), sep), truncated: ids.length > most, counts };
}

/** The head's outputs for each text, many in one call of the engine. */
export async function outputsOf(
  texts: readonly PreparedText[],
  engine: Engine,
  count: number,
): Promise<Float32Array[]> {
  const rows: Float32Array[] = [];
  for (const group of groupsByTokens(texts, ({ ids }) => ids.length, BATCH_TOKENS)) {
    const outputs = await engine.sequenceLogits(packLabeled(group.map(({ ids }) => ({ ids }))), count);
    for (let b = 0; b < group.length; b++) rows.push(outputs.subarray(b * count, (b + 1) * count));
  }
  return rows;
}
