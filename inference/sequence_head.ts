/** What a head on sequences makes of texts, whatever its outputs mean. Used by classifier.ts and regressor.ts. */

import { packLabeled } from "../config/batch.ts";
import { program } from "../config/called.ts";
import { ClozeError } from "../config/cloze_error.ts";
import { shown } from "../config/json_object.ts";
import { groupsByTokens } from "../config/packed_sequences.ts";
import type { Engine } from "../ffi/mod.ts";
import { longestText } from "../model/families.ts";
import type { ModelFolder } from "../model/model_folder.ts";
import { type ClassifierHead, engineHeads, sequenceHead } from "../model/model_heads.ts";
import { encodeSequence } from "../tokenizer/sequence_encoding.ts";
import type { UnknownCounts } from "../tokenizer/unknown_counts.ts";
import { checkTexts } from "./arguments.ts";
import { answerLimits, folderOf, type GivenModel, type InferenceOptions, openBoth, OpenModel } from "./open_engine.ts";

/** A text as the model sees it. */
export interface PreparedText {
  /** With the special tokens around them. */
  ids: Int32Array;
  /** The segment of each token, where not all are of the first. */
  type_ids?: Int32Array;
  /** Whether the text is longer than the model takes. */
  truncated: boolean;
  /** Of the whole text. */
  counts: UnknownCounts;
}

/** Tokens that the engine takes at once. */
const BATCH_TOKENS = 2048;

/** A folder with a head on sequences, and the engine that is open on it. */
export interface OpenHead {
  folder: ModelFolder;
  engine: Engine;
  head: ClassifierHead;
}

/** A model with a head on sequences. */
export class SequenceModel extends OpenModel {
  /** What the model was opened from. */
  readonly folder: ModelFolder;
  /** Names of the classes, or of the values, by number. */
  readonly labels: readonly string[];

  /** Over what `openSequenceHead` opened. */
  constructor({ folder, engine, head }: OpenHead) {
    super(engine);
    this.folder = folder;
    this.labels = head.labels;
  }

  /** Whether it tells if a second text follows the first, so that one text alone is nothing to it. */
  get takesPairsOnly(): boolean {
    return this.folder.heads.classifier === null;
  }

  /**
   * A text, or a pair, as the model sees it, as far as it fits: `[CLS] text [SEP]`, `[CLS] text [SEP] pair [SEP]`.
   *
   * @throws {ClozeError} `input` if there is no second text, and the model takes pairs only.
   */
  prepare(text: string, pair?: string): PreparedText {
    if (pair === undefined && this.takesPairsOnly) {
      throw new ClozeError("input", `there is one text, and ${this.folder.path} tells whether a second one follows it`);
    }
    return prepareText(text, this.folder, pair);
  }
}

/** @throws {ClozeError} if the folder has no head on sequences, or it or the core cannot be used. */
export async function openSequenceHead(model: GivenModel, options: InferenceOptions): Promise<OpenHead> {
  const begun = await folderOf(model);
  const { heads, path } = begun, head = sequenceHead(heads);
  if (head === null) {
    throw new ClozeError("input", `${path} does not classify: it has no classifier`, {
      hint: `fine-tune it: ${program()} finetune --model ${path} --train FILE --valid FILE --output DIR`,
    });
  }
  const alone = { ...heads, tokens: false }, most = answerLimits({ ...begun, heads: alone }, BATCH_TOKENS, 2);
  return { ...await openBoth(begun, engineHeads(alone), most, options), head };
}

/** A text, or a pair of texts: a question and its answer, two sentences. */
export type TextOrPair = string | readonly [text: string, pair: string];

/** A text, or a pair, as the model sees it, as far as it fits: `[CLS] text [SEP]`, `[CLS] text [SEP] pair [SEP]`. */
export function prepareText(text: string, { tokenizer, config }: ModelFolder, pair?: string): PreparedText {
  return encodeSequence(tokenizer, { text, pair }, longestText(config), config.type_vocab_size);
}

/** Prepares texts and pairs. @throws {ClozeError} naming what is none. */
export function prepareTexts(name: string, texts: readonly TextOrPair[], model: SequenceModel): PreparedText[] {
  if (!Array.isArray(texts)) checkTexts(name, texts);
  for (const [i, given] of texts.entries()) { // entries(), because holes have to be seen too
    const isPair = Array.isArray(given) && given.length === 2 && given.every((text) => typeof text === "string");
    if ((typeof given === "string" && !model.takesPairsOnly) || isPair) continue;
    const expected = model.takesPairsOnly ? "a pair of strings" : "a string or a pair of strings";
    throw new ClozeError("usage", `${name}[${i}] is ${shown(given)}, but has to be ${expected}`);
  }
  return texts.map((given) => typeof given === "string" ? model.prepare(given) : model.prepare(given[0], given[1]));
}

/** What was given, as results name it. */
export function inputOf(given: TextOrPair): { input: string; pair?: string } {
  return typeof given === "string" ? { input: given } : { input: given[0], pair: given[1] };
}

/** The head's outputs for each text, many in one call of the engine. */
export async function outputsOf(
  texts: readonly PreparedText[],
  engine: Engine,
  count: number,
): Promise<Float32Array[]> {
  const rows: Float32Array[] = [];
  for (const group of groupsByTokens(texts, ({ ids }) => ids.length, BATCH_TOKENS)) {
    const outputs = await engine.sequenceLogits(packLabeled(group), count);
    for (let b = 0; b < group.length; b++) rows.push(outputs.subarray(b * count, (b + 1) * count));
  }
  return rows;
}
