/** Classifies text with a fine-tuned model. Used by the predict command and by programs. */

import { program } from "../config/called.ts";
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

/** A class with its probability. */
export interface LabelScore {
  /** Name of the class. */
  label: string;
  /** From 0 to 1. */
  probability: number;
}

/** A text with its classes, the most probable first. */
export interface ClassifiedText {
  /** As it was given. */
  input: string;
  /** The second text, of a pair. */
  pair?: string;
  /** Classes with their probabilities. */
  labels: LabelScore[];
  /** Whether the model saw only the beginning, because the text is longer than it takes. */
  truncated: boolean;
  /** Words that became `[UNK]`: the model cannot tell them apart. */
  unknown: number;
}

/** How a {@linkcode Classifier} is opened. */
export type ClassifierOptions = InferenceOptions;

/**
 * A model that classifies texts, or tells with next-sentence prediction whether the second text of a pair `is next`, or
 * `not next`.
 *
 * ```ts ignore
 * import { Classifier } from "./mod.ts";
 *
 * using model = await Classifier.open("runs/reviews");
 * const [review] = await model.classify(["What a film!"]);
 * console.log(review.labels[0].label, review.labels[0].probability);
 * ```
 */
export class Classifier extends SequenceModel {
  /**
   * Whether a text may have any number of the labels: each one's probability is then its own (a sigmoid), and they do not
   * add up to 1.
   */
  readonly multiLabel: boolean;
  readonly #engine: Engine;

  private constructor(opened: OpenHead, multiLabel: boolean) {
    super(opened);
    this.multiLabel = multiLabel;
    this.#engine = opened.engine;
  }

  /**
   * Opens a model: the path of its folder, or what was read of one.
   *
   * @throws {ClozeError} if the folder holds no classifier, or it or the core cannot be used.
   */
  static async open(model: GivenModel, options: ClassifierOptions = {}): Promise<Classifier> {
    checkOptions(options);
    const opened = await openSequenceHead(model, options);
    const { folder, engine, head: { labels, problem_type } } = opened;
    if (problem_type === "regression") {
      engine.close();
      throw new ClozeError("input", `${folder.path} does not classify: it predicts values`, {
        hint: `${program()} predict prints them; code opens it as a Regressor`,
      });
    }
    // Of one class alone, as transformers' pipeline has it: a softmax would always be 1.
    const multiLabel = problem_type === "multi_label_classification" || labels.length === 1;
    return new Classifier(opened, multiLabel);
  }

  /** Classifies prepared texts, several in one call of the engine. */
  async classifyPrepared(texts: readonly PreparedText[]): Promise<Omit<ClassifiedText, "input" | "pair">[]> {
    const rows = await outputsOf(texts, this.#engine, this.labels.length);
    return rows.map((row, i) => {
      const scores = this.multiLabel ? Array.from(row, sigmoid) : softmax(row);
      const labels = this.labels.map((label, id) => ({ label, probability: scores[id] }));
      const { truncated, counts: { unknown } } = texts[i];
      return { labels: labels.sort((x, y) => y.probability - x.probability), truncated, unknown };
    });
  }

  /**
   * Classifies texts, or pairs of texts.
   *
   * @throws {ClozeError} if one is no text and no pair of texts, with its number, or if the model has been disposed of.
   */
  async classify(texts: readonly TextOrPair[]): Promise<ClassifiedText[]> {
    const prepared = prepareTexts("texts", texts, this);
    this.#engine.checkOpen();
    const classified = await this.classifyPrepared(prepared);
    return classified.map((result, i) => ({ ...inputOf(texts[i]), ...result }));
  }
}

const sigmoid = (logit: number): number => 1 / (1 + Math.exp(-logit));

function softmax(logits: Float32Array): number[] {
  const top = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = Array.from(logits, (x) => Math.exp(x - top));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / total);
}
