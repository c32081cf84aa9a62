/** One model of the playground: what is asked of it, over one engine. */

import { ClozeError } from "../config/cloze_error.ts";
import { packMasked } from "../config/batch.ts";
import { groupsByTokens } from "../config/packed_sequences.ts";
import type { Engine } from "../ffi/mod.ts";
import { BLANK, FillMask } from "../inference/fill_mask.ts";
import { answerLimits, type InferenceOptions, openBoth } from "../inference/open_engine.ts";
import { longestText } from "../model/families.ts";
import type { ModelFolder, UnreadFolder } from "../model/model_folder.ts";
import { tokenHeads } from "../model/model_heads.ts";
import { Embeddings } from "./neighbours.ts";
import type {
  AttentionAnswer,
  BlankAnswer,
  FillAnswer,
  NeighboursAnswer,
  ScoreAnswer,
  TextToken,
  TokenizeAnswer,
} from "./protocol.ts";

/** Tokens that the engine takes at once: with four times as many its first answer takes twice as long, its buffers being new. */
const BATCH_TOKENS = 512;
/** Tokens of a text whose attention is shown: the answer grows with their square. */
const MOST_SHOWN = 126;
/** Logits that are in memory at once: 32 MB. */
const MOST_LOGITS = 1 << 23;

/**
 * Refuses models that fill no blanks.
 *
 * @throws {ClozeError} `input`, naming the folder.
 */
export function refuseOthers({ path, heads }: Pick<ModelFolder, "path" | "heads">): void {
  if (heads.tokens && !heads.is_decoder) return;
  throw new ClozeError("input", `${path} fills no blanks, and the playground is about blanks`, {
    hint: "use a model with a masked-LM head, such as BertForMaskedLM; predict and evaluate know the others",
  });
}

/** A model that is open. */
export class PlaygroundModel implements Disposable {
  readonly #folder: ModelFolder;
  readonly #engine: Engine;
  readonly #fill: FillMask;
  /** Read when they are first asked for. */
  #embeddings: Promise<Embeddings> | undefined;

  private constructor(folder: ModelFolder, engine: Engine) {
    this.#folder = folder;
    this.#engine = engine;
    const limits = { max_tokens: BATCH_TOKENS, max_sequence_length: longestText(folder.config) };
    this.#fill = FillMask.over(engine, folder, limits, 1);
  }

  /** @throws {ClozeError} if the model fills no blanks, or cannot be used. */
  static async open(begun: UnreadFolder, options: InferenceOptions): Promise<PlaygroundModel> {
    refuseOthers(begun);
    const limits = answerLimits(begun, BATCH_TOKENS, 3);
    const { folder, engine } = await openBoth(begun, tokenHeads(begun.heads), limits, options);
    return new PlaygroundModel(folder, engine);
  }

  /** What a person should know of how its tokenizer was read, as sentences. */
  get notes(): readonly string[] {
    return this.#folder.tokenizer.notes;
  }

  /** The tokens of a text. */
  tokenize(text: string): TokenizeAnswer {
    return { tokens: this.#tokens(text) };
  }

  /** The answers for each blank, best first. */
  async fill(text: string, topK: number): Promise<FillAnswer> {
    const written = new WrittenBlanks(text, this.#folder.tokenizer.names.mask);
    const prepared = this.#fill.prepare(written.masked);
    const { tokenizer, config: { vocab_size } } = this.#folder;
    const distributions: Float64Array[] = [];
    for (const positions of inParts(prepared.positions, Math.max(1, Math.floor(MOST_LOGITS / vocab_size)))) {
      const logits = await this.#engine.logits(packMasked([{ ids: prepared.ids, positions }]));
      for (let row = 0; row < positions.length; row++) {
        distributions.push(softmax(logits.subarray(row * vocab_size, (row + 1) * vocab_size)));
      }
    }
    const blanks = distributions.map((probabilities, blank) => {
      const answers = this.#best(probabilities, topK).map((id): BlankAnswer => {
        const joined = !tokenizer.startsWord(id) && (tokenizer.maskTakesSpace || !tokenizer.isSpaced);
        return { token: tokenizer.shown(id), id, probability: probabilities[id], word: tokenizer.surface(id), joined };
      });
      return { ...written.range(prepared.offsets[blank]), entropy: entropy(probabilities), answers };
    });
    const [{ sequence }] = await this.#fill.fillPrepared([prepared], [blanks.map(({ answers }) => answers)]);
    return { blanks, filled: sequence, truncated: prepared.truncated };
  }

  /**
   * How much each token surprises the model.
   *
   * @throws {ClozeError} `input` if there is no token, or more than the model takes.
   */
  async score(text: string): Promise<ScoreAnswer> {
    const tokens = this.#tokens(text);
    const most = longestText(this.#folder.config) - 2;
    if (tokens.length === 0) throw new ClozeError("input", "there is no word in it");
    if (tokens.length > most) {
      throw new ClozeError("input", `it has ${tokens.length} tokens, but the model takes at most ${most}`);
    }
    const { cls, sep, mask } = this.#folder.tokenizer.special;
    const whole = Int32Array.of(cls, ...tokens.map(({ id }) => id), sep);
    const asked = [...tokens.keys()].filter((i) => !tokens[i].blank);
    if (asked.length === 0) throw new ClozeError("input", "there is nothing but blanks in it");
    const questions = asked.map((i) => {
      const ids = whole.slice();
      ids[i + 1] = mask;
      return { ids, positions: [i + 1], labels: [tokens[i].id] };
    });
    const loss: number[] = [], rank: number[] = [];
    for (const group of groupsByTokens(questions, ({ ids }) => ids.length, BATCH_TOKENS)) {
      const { row_loss, row_rank } = await this.#engine.evaluate(packMasked(group));
      loss.push(...row_loss);
      rank.push(...row_rank);
    }
    const score = -loss.reduce((sum, nats) => sum + nats, 0);
    let row = 0;
    return {
      score,
      perplexity: Math.exp(-score / asked.length),
      tokens: tokens.map((token) =>
        token.blank
          ? { ...token, log_probability: null, rank: null }
          : { ...token, log_probability: -loss[row], rank: rank[row++] }
      ),
    };
  }

  /**
   * What each token gives to each in one layer's attention.
   *
   * @param layer from 0; the last one if it is not given.
   * @throws {ClozeError} `input` if there is no such layer, no token, or more than can be shown.
   */
  async attention(text: string, layer?: number): Promise<AttentionAnswer> {
    const { num_hidden_layers: layers, num_attention_heads: heads } = this.#folder.config;
    const { tokenizer } = this.#folder, { special } = tokenizer;
    if (layer !== undefined && layer >= layers) {
      throw new ClozeError("input", `layer is ${layer}, but the model has ${layers} of them, from 0`);
    }
    const within = this.#tokens(text), most = Math.min(MOST_SHOWN, longestText(this.#folder.config) - 2);
    if (within.length === 0) throw new ClozeError("input", "there is no word in it");
    if (within.length > most) {
      throw new ClozeError("input", `it has ${within.length} tokens, but attention is shown of at most ${most}`);
    }
    const end = (id: number, at: number): TextToken => ({
      token: tokenizer.shown(id),
      id,
      start: at,
      end: at,
      word: -1,
      unknown: false,
      blank: false,
    });
    const tokens = [end(special.cls, 0), ...within, end(special.sep, text.length)];
    const batch = packMasked([{ ids: Int32Array.from(tokens, ({ id }) => id), positions: [] }]);
    const shownLayer = layer ?? layers - 1, t = tokens.length;
    const all = await this.#engine.attention(batch, shownLayer, heads);
    const row = (head: number, i: number) =>
      Array.from(all.subarray((head * t + i) * t, (head * t + i + 1) * t), (p) => Number(p.toPrecision(4)));
    return {
      layers,
      heads,
      layer: shownLayer,
      tokens,
      probabilities: Array.from({ length: heads }, (_, head) => tokens.map((_, i) => row(head, i))),
    };
  }

  /**
   * The tokens whose embeddings are nearest to a word's.
   *
   * @throws {ClozeError} `input` if there is no token in it, or one that the vocabulary lacks.
   */
  async neighbours(text: string, topK: number): Promise<NeighboursAnswer> {
    const { tokenizer, config: { vocab_size, hidden_size, embedding_size = hidden_size } } = this.#folder;
    const ids = [...tokenizer.wordIds(text.trim(), false)];
    if (ids.length === 0) throw new ClozeError("input", "there is no word in it");
    if (ids.includes(tokenizer.special.unk)) {
      throw new ClozeError("input", `${JSON.stringify(text)} holds characters that the vocabulary lacks`);
    }
    this.#embeddings ??= this.#engine.wordEmbeddings(vocab_size * embedding_size)
      .then((rows) => new Embeddings(rows, vocab_size));
    const counts = (id: number) => id < tokenizer.size && !tokenizer.isSpecial(id) && !ids.includes(id);
    const nearest = (await this.#embeddings).nearest(ids, topK, counts);
    return {
      tokens: ids.map((id) => tokenizer.shown(id)),
      neighbours: nearest.map(({ id, similarity }) => ({ token: tokenizer.shown(id), id, similarity })),
    };
  }

  #tokens(text: string): TextToken[] {
    const { tokenizer } = this.#folder;
    const written = new WrittenBlanks(text, this.#folder.tokenizer.names.mask);
    const { ids, offsets, words } = tokenizer.encode(written.masked);
    return Array.from(ids, (id, i) => ({
      token: tokenizer.shown(id),
      id,
      ...written.range(offsets[i]),
      word: words[i] ?? -1,
      unknown: id === tokenizer.special.unk,
      blank: id === tokenizer.special.mask,
    }));
  }

  /** The most probable ids that a text can have. */
  #best(probabilities: Float64Array, count: number): number[] {
    const { tokenizer } = this.#folder;
    const best: number[] = [];
    for (let id = 0; id < Math.min(tokenizer.size, probabilities.length); id++) {
      if (best.length === count && probabilities[id] <= probabilities[best[count - 1]]) continue;
      if (tokenizer.isSpecial(id)) continue;
      let at = best.length;
      while (at > 0 && probabilities[best[at - 1]] < probabilities[id]) at--;
      best.splice(at, 0, id);
      best.length = Math.min(best.length, count);
    }
    return best;
  }

  [Symbol.dispose](): void {
    this.#fill[Symbol.dispose]();
  }
}

/** A text with blanks in any of their forms, and the same with the mask token in their place. */
class WrittenBlanks {
  readonly masked: string;
  /** Of each blank, where it ends in `masked`, and how much shorter it is in the text. */
  readonly #ends: { end: number; shorter: number }[] = [];

  constructor(text: string, mask: string) {
    let grown = 0;
    this.masked = text.replace(BLANK, (blank, at: number) => {
      grown += mask.length - blank.length;
      this.#ends.push({ end: at + blank.length + grown, shorter: mask.length - blank.length });
      return mask;
    });
  }

  /** Where in the text a range of `masked` is, without the white space that a mask may take with it. */
  range([start, end]: readonly [number, number]): { start: number; end: number } {
    const covered = this.masked.slice(start, end);
    const back = (offset: number) =>
      this.#ends.reduce((at, blank) => (offset >= blank.end ? at - blank.shorter : at), offset);
    return { start: back(end - covered.trimStart().length), end: back(start + covered.trimEnd().length) };
  }
}

function softmax(logits: Float32Array): Float64Array {
  const probabilities = Float64Array.from(logits);
  const top = probabilities.reduce((most, x) => Math.max(most, x), -Infinity);
  let sum = 0;
  for (let i = 0; i < probabilities.length; i++) sum += probabilities[i] = Math.exp(probabilities[i] - top);
  return probabilities.map((x) => x / sum);
}

function entropy(probabilities: Float64Array): number {
  return probabilities.reduce((sum, p) => p > 0 ? sum - p * Math.log(p) : sum, 0);
}

function* inParts<T>(items: readonly T[], most: number): Generator<T[]> {
  for (let from = 0; from < items.length; from += most) yield items.slice(from, from + most);
}
