/** Classifies text with a fine-tuned model. Used by the predict command and by programs. */

import { program } from "../config/called.ts";
import { packLabeled } from "../config/batch.ts";
import { ClozeError } from "../config/cloze_error.ts";
import { groupsByTokens } from "../config/packed_sequences.ts";
import type { Engine } from "../ffi/mod.ts";
import { type UnknownCounts, unknownCounts } from "../tokenizer/unknown_counts.ts";
import { prepareEach } from "./arguments.ts";
import { type ModelFolder, openModelFolder } from "../model/model_folder.ts";
import { engineHeads } from "../model/model_heads.ts";
import { answerLimits, checkOptions, type InferenceOptions, openEngine } from "./open_engine.ts";

/** A class with its probability. */
export interface LabelScore {
  label: string;
  probability: number;
}

/** A text with its classes, the most probable first. */
export interface ClassifiedText {
  input: string;
  labels: LabelScore[];
  /** Whether the model saw only the beginning, because the text is longer than it takes. */
  truncated: boolean;
  /** Words that became `[UNK]`: the model cannot tell them apart. */
  unknown: number;
}

/** How a {@linkcode Classifier} is opened. */
export type ClassifierOptions = InferenceOptions;

/** A text as the model sees it. */
interface PreparedText {
  ids: Int32Array;
  truncated: boolean;
  /** Of the whole text. */
  counts: UnknownCounts;
}

/** Tokens that the engine takes at once. */
const BATCH_TOKENS = 2048;

/**
 * A model that classifies texts.
 *
 * ```ts ignore
 * import { Classifier } from "./mod.ts";
 *
 * using model = await Classifier.open("runs/reviews");
 * const [review] = await model.classify(["What a film!"]);
 * console.log(review.labels[0].label, review.labels[0].probability);
 * ```
 */
export class Classifier implements Disposable {
  readonly folder: ModelFolder;
  /** Names of the classes, by number. */
  readonly labels: readonly string[];
  /**
   * Whether a text may have any number of the labels: each one's probability is then its own (a sigmoid), and they do not
   * add up to 1.
   */
  readonly multiLabel: boolean;
  readonly #engine: Engine;

  private constructor(folder: ModelFolder, labels: readonly string[], multiLabel: boolean, engine: Engine) {
    this.folder = folder;
    this.labels = labels;
    this.multiLabel = multiLabel;
    this.#engine = engine;
  }

  /** @throws {ClozeError} if the folder holds no classifier, or it or the core cannot be used. */
  static async open(model: string | ModelFolder, options: ClassifierOptions = {}): Promise<Classifier> {
    checkOptions(options);
    const folder = typeof model === "object" && model !== null ? model : await openModelFolder(model);
    const { heads, path } = folder;
    if (heads.classifier === null) {
      throw new ClozeError("input", `${path} does not classify: it has no classifier`, {
        hint: `fine-tune it: ${program()} finetune --model ${path} --train FILE --valid FILE --output DIR`,
      });
    }
    const { labels, multi_label } = heads.classifier;
    const most = answerLimits(folder, BATCH_TOKENS, 2);
    const engine = await openEngine(folder, engineHeads(heads), most, options);
    return new Classifier(folder, labels, multi_label, engine);
  }

  /** A text as the model sees it: `[CLS]`, its tokens as far as they fit, `[SEP]`. */
  prepare(text: string): PreparedText {
    const { tokenizer, config } = this.folder;
    const { cls, sep } = tokenizer.special;
    const { ids } = tokenizer.encode(text);
    const most = config.max_position_embeddings - 2;
    const counts = unknownCounts(ids, tokenizer);
    return { ids: Int32Array.of(cls, ...ids.subarray(0, most), sep), truncated: ids.length > most, counts };
  }

  /** Classifies prepared texts, several in one call of the engine. */
  async classifyPrepared(texts: readonly PreparedText[]): Promise<Omit<ClassifiedText, "input">[]> {
    const classified: Omit<ClassifiedText, "input">[] = [];
    for (const group of groupsByTokens(texts, ({ ids }) => ids.length, BATCH_TOKENS)) {
      const batch = packLabeled(group.map(({ ids }) => ({ ids })));
      const count = this.labels.length;
      const logits = await this.#engine.sequenceLogits(batch, count);
      group.forEach(({ truncated, counts: { unknown } }, b) => {
        const row = logits.subarray(b * count, (b + 1) * count);
        const scores = this.multiLabel ? Array.from(row, sigmoid) : softmax(row);
        const labels = this.labels.map((label, id) => ({ label, probability: scores[id] }));
        classified.push({ labels: labels.sort((x, y) => y.probability - x.probability), truncated, unknown });
      });
    }
    return classified;
  }

  /**
   * Classifies texts.
   *
   * @throws {ClozeError} if a text is no string, with its number, or if the model has been disposed of.
   */
  async classify(texts: readonly string[]): Promise<ClassifiedText[]> {
    const prepared = prepareEach("texts", texts, (text) => this.prepare(text));
    this.#engine.checkOpen();
    const classified = await this.classifyPrepared(prepared);
    return classified.map((result, i) => ({ input: texts[i], ...result }));
  }

  /** Where it runs. */
  get device(): "cpu" | "cuda" {
    return this.#engine.describe().device;
  }

  [Symbol.dispose](): void {
    this.#engine.close();
  }
}

const sigmoid = (logit: number): number => 1 / (1 + Math.exp(-logit));

function softmax(logits: Float32Array): number[] {
  const top = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const powers = Array.from(logits, (x) => Math.exp(x - top));
  const total = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / total);
}
