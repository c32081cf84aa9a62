/**
 * Scores sentences: how probable a model finds them. A masked language model gives the pseudo-log-likelihood (Salazar et
 * al., 2020): each token is masked in turn, and the log probabilities of the tokens that stood there are summed. A
 * left-to-right model gives the log-likelihood. The two are not comparable. Used by the evaluate command and by programs.
 */

import { ClozeError } from "../config/cloze_error.ts";
import { type MaskedSequence, packMasked } from "../config/batch.ts";
import { groupsByTokens } from "../config/packed_sequences.ts";
import type { Engine } from "../ffi/mod.ts";
import { unknownCounts } from "../tokenizer/unknown_counts.ts";
import { prepareEach } from "./arguments.ts";
import { longestText } from "../model/families.ts";
import type { ModelFolder } from "../model/model_folder.ts";
import { tokenHeads } from "../model/model_heads.ts";
import {
  answerLimits,
  checkOptions,
  folderOf,
  type GivenModel,
  type InferenceOptions,
  openBoth,
  OpenModel,
} from "./open_engine.ts";

/** A sentence with its score, in nats. */
export interface ScoredSentence {
  /** As it was given. */
  input: string;
  /** Sum of the tokens' log probabilities. */
  score: number;
  /** What the score is. */
  kind: "pseudo_log_likelihood" | "log_likelihood";
  /** exp(−score / number of tokens) */
  perplexity: number;
  /** Each token with the natural logarithm of its probability. */
  tokens: { token: string; log_probability: number }[];
  /** Words that became `[UNK]`: the score is of `[UNK]` there, and not of the word. */
  unknown: number;
}

/** How a {@linkcode Scorer} is opened. */
export type ScorerOptions = InferenceOptions;

/** Tokens that the engine takes at once. */
const BATCH_TOKENS = 4096;

/**
 * A model that scores sentences.
 *
 * ```ts ignore
 * import { Scorer } from "./mod.ts";
 *
 * using model = await Scorer.open("runs/mine");
 * const [good, bad] = await model.score(["The leaves fall.", "The leaves falls."]);
 * console.log(good.score > bad.score);
 * ```
 */
export class Scorer extends OpenModel {
  /** What the model was opened from. */
  readonly folder: ModelFolder;
  readonly #engine: Engine;
  readonly #causal: boolean;

  private constructor(folder: ModelFolder, engine: Engine, causal: boolean) {
    super(engine);
    this.folder = folder;
    this.#engine = engine;
    this.#causal = causal;
  }

  /**
   * Opens a model: the path of its folder, or what was read of one.
   *
   * @throws {ClozeError} if the folder predicts no tokens, or it or the core cannot be used.
   */
  static async open(model: GivenModel, options: ScorerOptions = {}): Promise<Scorer> {
    checkOptions(options);
    const begun = await folderOf(model);
    const { heads, path } = begun;
    if (!heads.tokens) {
      throw new ClozeError("input", `${path} cannot score sentences: it does not predict tokens`, {
        hint: "use a model with a language-model head, such as BertForMaskedLM",
      });
    }
    const most = answerLimits(begun, BATCH_TOKENS, 3);
    const { folder, engine } = await openBoth(begun, tokenHeads(heads), most, options);
    return new Scorer(folder, engine, heads.is_decoder);
  }

  /**
   * The ids of a sentence.
   *
   * @throws {ClozeError} `input` if it is empty, of unknown words only, or does not fit the model.
   */
  prepare(sentence: string): Int32Array {
    const { tokenizer, config } = this.folder;
    const { ids } = tokenizer.encode(sentence);
    const most = longestText(config) - 2;
    if (ids.length === 0) throw new ClozeError("input", "there is no token in it");
    const { words, unknown } = unknownCounts(ids, tokenizer);
    if (unknown === words) {
      throw new ClozeError("input", "no word in it is known to the vocabulary: all became [UNK], which has no score");
    }
    if (ids.length > most) {
      throw new ClozeError("input", `it has ${ids.length} tokens, but the model takes at most ${most}`);
    }
    return ids;
  }

  /** Scores prepared sentences, many sequences in one call of the engine. */
  async scorePrepared(sentences: readonly Int32Array[]): Promise<Omit<ScoredSentence, "input">[]> {
    const log: number[][] = sentences.map(() => []);
    const questions = this.#questions(sentences);
    for (const group of groupsByTokens(questions, ({ question }) => question.ids.length, BATCH_TOKENS)) {
      const { row_loss } = await this.#engine.evaluate(packMasked(group.map(({ question }) => question)));
      let row = 0;
      for (const { sentence, question } of group) {
        for (let i = 0; i < question.labels.length; i++) log[sentence].push(-row_loss[row++]);
      }
    }
    const { tokenizer } = this.folder;
    return log.map((values, s) => {
      const score = values.reduce((a, b) => a + b, 0);
      const tokens = values.map((log_probability, i) => ({
        token: tokenizer.shown(sentences[s][i]),
        log_probability,
      }));
      const kind = this.#causal ? "log_likelihood" as const : "pseudo_log_likelihood" as const;
      const { unknown } = unknownCounts(sentences[s], tokenizer);
      return { score, kind, perplexity: Math.exp(-score / tokens.length), tokens, unknown };
    });
  }

  /** One sequence a token for a masked model, one a sentence for a left-to-right one. */
  *#questions(sentences: readonly Int32Array[]): Generator<{ sentence: number; question: Required<MaskedSequence> }> {
    const { cls, sep, mask } = this.folder.tokenizer.special;
    for (const [sentence, ids] of sentences.entries()) {
      const whole = Int32Array.of(cls, ...ids, sep);
      if (this.#causal) {
        yield { sentence, question: { ids: whole, positions: [...ids.keys()], labels: [...ids] } };
        continue;
      }
      for (const [i, id] of ids.entries()) {
        const masked = whole.slice();
        masked[i + 1] = mask;
        yield { sentence, question: { ids: masked, positions: [i + 1], labels: [id] } };
      }
    }
  }

  /**
   * Scores sentences.
   *
   * @throws {ClozeError} if one cannot be scored, with its number, or if the model has been disposed of.
   */
  async score(sentences: readonly string[]): Promise<ScoredSentence[]> {
    const prepared = prepareEach("sentences", sentences, (sentence) => this.prepare(sentence));
    this.#engine.checkOpen();
    const scored = await this.scorePrepared(prepared);
    return scored.map((result, i) => ({ input: sentences[i], ...result }));
  }
}
