/** Embeds texts: a text → a vector, from the encoder's last hidden states. Used by the embed command and by programs. */

import { packLabeled } from "../config/batch.ts";
import type { EngineHeads } from "../config/engine.ts";
import { ClozeError } from "../config/cloze_error.ts";
import { groupsByTokens } from "../config/packed_sequences.ts";
import type { Engine } from "../ffi/mod.ts";
import type { ModelFolder } from "../model/model_folder.ts";
import { checkChoice, prepareEach } from "./arguments.ts";
import {
  answerLimits,
  checkOptions,
  folderOf,
  type GivenModel,
  type InferenceOptions,
  openBoth,
  OpenModel,
} from "./open_engine.ts";
import { type PreparedText, prepareText } from "./sequence_head.ts";

/** How the vectors of a text's tokens become one: their mean, special tokens included, or the first token's. */
export const POOLINGS = ["mean", "cls"] as const;

/** One of {@linkcode POOLINGS}. */
export type Pooling = typeof POOLINGS[number];

/** How an {@linkcode Embedder} is opened. */
export interface EmbedderOptions extends InferenceOptions {
  /** `mean` unless given. */
  pooling?: Pooling;
  /** Whether vectors are made of length 1, so that their dot product is the cosine; not unless given. */
  normalize?: boolean;
}

/** A text's vector. */
export interface EmbeddedText {
  /** As it was given. */
  input: string;
  /** `[C]`, the model's width. */
  embedding: Float32Array;
  /** Whether the model saw only the beginning, because the text is longer than it takes. */
  truncated: boolean;
  /** Words that became `[UNK]`: the model cannot tell them apart. */
  unknown: number;
}

/** Tokens that the engine takes at once. */
const BATCH_TOKENS = 2048;

/**
 * A model that embeds texts, whatever head it was trained with.
 *
 * ```ts ignore
 * import { Embedder } from "./mod.ts";
 *
 * using model = await Embedder.open("runs/mine", { normalize: true });
 * const [a, b] = await model.embed(["The leaves fall.", "낙엽이 떨어진다."]);
 * console.log(a.embedding.reduce((sum, x, i) => sum + x * b.embedding[i], 0));
 * ```
 */
export class Embedder extends OpenModel {
  /** What the model was opened from. */
  readonly folder: ModelFolder;
  readonly #engine: Engine;
  readonly #pooling: Pooling;
  readonly #normalize: boolean;

  private constructor(folder: ModelFolder, engine: Engine, pooling: Pooling, normalize: boolean) {
    super(engine);
    this.folder = folder;
    this.#engine = engine;
    this.#pooling = pooling;
    this.#normalize = normalize;
  }

  /**
   * Opens a model: the path of its folder, or what was read of one.
   *
   * @throws {ClozeError} if the folder or the core cannot be used, or if the model's first token sees only itself.
   */
  static async open(model: GivenModel, options: EmbedderOptions = {}): Promise<Embedder> {
    checkOptions(options);
    const { pooling = "mean", normalize = false } = options;
    checkChoice("pooling", pooling, POOLINGS);
    const begun = await folderOf(model);
    const { is_decoder } = begun.heads;
    if (is_decoder && pooling === "cls") {
      throw new ClozeError("input", `${begun.path} is a left-to-right model, whose first token sees only itself`, {
        hint: "take the mean",
      });
    }
    const heads: EngineHeads = { tokens: null, sequence: null, is_decoder, freeze_encoder: false };
    const limits = { ...answerLimits(begun, BATCH_TOKENS, 2), max_masked: 1 };
    const { folder, engine } = await openBoth(begun, heads, limits, options);
    return new Embedder(folder, engine, pooling, normalize);
  }

  /** Numbers of a vector, C. */
  get width(): number {
    return this.folder.config.hidden_size;
  }

  /** A text as the model sees it: `[CLS]`, its tokens as far as they fit, `[SEP]`. */
  prepare(text: string): PreparedText {
    return prepareText(text, this.folder);
  }

  /** The vectors of prepared texts, several in one call of the engine. */
  async embedPrepared(texts: readonly PreparedText[]): Promise<Omit<EmbeddedText, "input">[]> {
    const embedded: Omit<EmbeddedText, "input">[] = [];
    for (const group of groupsByTokens(texts, ({ ids }) => ids.length, BATCH_TOKENS)) {
      const hidden = await this.#engine.hiddenStates(packLabeled(group.map(({ ids }) => ({ ids }))), this.width);
      let from = 0;
      for (const { ids, truncated, counts: { unknown } } of group) {
        const tokens = hidden.subarray(from * this.width, (from + ids.length) * this.width);
        const pooled = this.#pooling === "cls" ? tokens.slice(0, this.width) : mean(tokens, this.width);
        embedded.push({ embedding: this.#normalize ? normalized(pooled) : pooled, truncated, unknown });
        from += ids.length;
      }
    }
    return embedded;
  }

  /**
   * Embeds texts.
   *
   * @throws {ClozeError} if a text is no string, with its number, or if the model has been disposed of.
   */
  async embed(texts: readonly string[]): Promise<EmbeddedText[]> {
    const prepared = prepareEach("texts", texts, (text) => this.prepare(text));
    this.#engine.checkOpen();
    const embedded = await this.embedPrepared(prepared);
    return embedded.map((result, i) => ({ input: texts[i], ...result }));
  }
}

/** The mean of rows, added up in f64. */
function mean(rows: Float32Array, width: number): Float32Array {
  const sum = new Float64Array(width), count = rows.length / width;
  for (let i = 0; i < rows.length; i++) sum[i % width] += rows[i];
  return Float32Array.from(sum, (value) => value / count);
}

/** The vector with length 1; one of zeros stays as it is. */
function normalized(vector: Float32Array): Float32Array {
  const length = Math.sqrt(vector.reduce((sum, x) => sum + x * x, 0));
  return length === 0 ? vector : vector.map((x) => x / length);
}
