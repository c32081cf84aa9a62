/** Predicts values of texts with a model of `problem_type` regression. Used by the predict command and by programs. */

import { ClozeError } from "../config/cloze_error.ts";
import type { Engine } from "../ffi/mod.ts";
import { checkOptions, type GivenModel, type InferenceOptions } from "./open_engine.ts";
import {
  inputOf,
  type OpenHead,
  openSequenceHead,
  outputsOf,
  type PreparedText,
  prepareTexts,
  SequenceModel,
  type TextOrPair,
} from "./sequence_head.ts";

/** A text with its values, in the model's order. */
export interface MeasuredText {
  /** As it was given. */
  input: string;
  /** The second text, of a pair. */
  pair?: string;
  /** What the model says of it. */
  values: { label: string; value: number }[];
  /** Whether the model saw only the beginning, because the text is longer than it takes. */
  truncated: boolean;
  /** Words that became `[UNK]`: the model cannot tell them apart. */
  unknown: number;
}

/** How a {@linkcode Regressor} is opened. */
export type RegressorOptions = InferenceOptions;

/**
 * A model that predicts values of texts, as they are: no function is applied to its outputs.
 *
 * ```ts ignore
 * import { Regressor } from "./mod.ts";
 *
 * using model = await Regressor.open("models/similarity");
 * const [text] = await model.measure(["What a film!"]);
 * console.log(text.values[0].value);
 * ```
 */
export class Regressor extends SequenceModel {
  readonly #engine: Engine;

  private constructor(opened: OpenHead) {
    super(opened);
    this.#engine = opened.engine;
  }

  /**
   * Opens a model: the path of its folder, or what was read of one.
   *
   * @throws {ClozeError} if the folder predicts no values, or it or the core cannot be used.
   */
  static async open(model: GivenModel, options: RegressorOptions = {}): Promise<Regressor> {
    checkOptions(options);
    const opened = await openSequenceHead(model, options);
    const { folder, engine, head: { problem_type } } = opened;
    if (problem_type === "regression") return new Regressor(opened);
    engine.close();
    throw new ClozeError("input", `${folder.path} predicts no values: it classifies`, { hint: "use a Classifier" });
  }

  /** The values of prepared texts, several in one call of the engine. */
  async measurePrepared(texts: readonly PreparedText[]): Promise<Omit<MeasuredText, "input" | "pair">[]> {
    const rows = await outputsOf(texts, this.#engine, this.labels.length);
    return rows.map((row, i) => {
      const { truncated, counts: { unknown } } = texts[i];
      return { values: this.labels.map((label, id) => ({ label, value: row[id] })), truncated, unknown };
    });
  }

  /**
   * The values of texts, or of pairs of texts.
   *
   * @throws {ClozeError} if one is no text and no pair of texts, with its number, or if the model has been disposed of.
   */
  async measure(texts: readonly TextOrPair[]): Promise<MeasuredText[]> {
    const prepared = prepareTexts("texts", texts, this);
    this.#engine.checkOpen();
    const measured = await this.measurePrepared(prepared);
    return measured.map((result, i) => ({ ...inputOf(texts[i]), ...result }));
  }
}
