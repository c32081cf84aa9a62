/**
 * Fills blanks: text with `[MASK]` (or three or more underscores) → the most probable tokens for each. Used by the predict
 * command and by programs.
 */

import { ClozeError } from "../config/cloze_error.ts";
import type { MlmBatch } from "../config/mlm_batch.ts";
import type { ModelHeads } from "../config/model_heads.ts";
import { groupsByTokens, packSequences } from "../config/packed_sequences.ts";
import type { Engine } from "../ffi/mod.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import { type ModelFolder, openModelFolder } from "./model_folder.ts";
import { type InferenceOptions, openEngine } from "./open_engine.ts";

/** What filling needs to know of a model. */
type Parts = Pick<ModelFolder, "config" | "tokenizer">;

/** What an engine takes at once. */
type FillLimits = { max_tokens: number; max_sequence_length: number };

/** One answer for a blank. */
export interface Prediction {
  token: string;
  id: number;
  probability: number;
}

/** A line with its blanks filled. */
export interface FilledLine {
  input: string;
  /** For each blank, from left to right, the answers, best first. */
  masks: Prediction[][];
  /** The input with the best answer in each blank. */
  sequence: string;
}

/** How a {@linkcode FillMask} is opened. */
export interface FillMaskOptions extends InferenceOptions {
  /** Answers for each blank; 5 unless given. */
  topK?: number;
}

/** Tokens that the engine takes at once. */
const BATCH_TOKENS = 2048;
const BLANK = /_{3,}/g;

/** What models are that cannot fill blanks, and what can be done with them. */
const REFUSALS: Partial<Record<ModelHeads["objective"], [what: string, hint: string]>> = {
  clm: ["is a left-to-right model, which sees only what stands before a blank", "use a model trained with mlm"],
  sequence_classification: ["classifies sequences", "use the pretrained model that was fine-tuned"],
  none: ["is a bare encoder without a masked-LM head", "use a model saved as BertForMaskedLM"],
};

/** A line as the model sees it. */
interface Prepared {
  text: string;
  ids: Int32Array;
  /** Indices of `[MASK]` in `ids`. */
  blanks: number[];
  /** Where in `text` they stand. */
  offsets: [number, number][];
}

/**
 * A model that fills blanks.
 *
 * ```ts ignore
 * import { FillMask } from "./mod.ts";
 *
 * using model = await FillMask.open("runs/mine");
 * const [line] = await model.fill(["In autumn the ____ fall from the trees."]);
 * console.log(line.sequence, line.masks[0][0].probability);
 * ```
 */
export class FillMask implements Disposable {
  readonly #parts: Parts;
  readonly #engine: Engine;
  /** Answers to give, and to ask the engine for: ids that no text is encoded as are left out. */
  readonly #topK: number;
  readonly #asked: number;
  readonly #limits: FillLimits;

  private constructor(parts: Parts, engine: Engine, topK: number, limits: FillLimits) {
    this.#parts = parts;
    this.#engine = engine;
    const { tokenizer, config: { vocab_size } } = parts;
    const unused = tokenizer.vocabulary.filter((_, id) => tokenizer.isUnused(id)).length + vocab_size - tokenizer.size;
    this.#topK = Math.min(topK, vocab_size - unused);
    this.#asked = this.#topK + unused;
    this.#limits = limits;
  }

  /** @throws {ClozeError} if the folder or the core cannot be used. */
  static async open(model: string | ModelFolder, options: FillMaskOptions = {}): Promise<FillMask> {
    const folder = typeof model === "string" ? await openModelFolder(model) : model;
    const { config, heads, path } = folder;
    const refusal = REFUSALS[heads.objective];
    if (refusal !== undefined) {
      const [what, hint] = refusal;
      throw new ClozeError("input", `${path} cannot fill blanks: it ${what}`, { hint });
    }
    const shape = { batch_tokens: BATCH_TOKENS, shortest_sequence: 3, predicts_tokens: true };
    const engine = await openEngine(folder, "mlm", shape, options);
    const limits = { max_tokens: BATCH_TOKENS, max_sequence_length: config.max_position_embeddings };
    return new FillMask(folder, engine, options.topK ?? 5, limits);
  }

  /** Over an engine that is open, as while it trains; `limits` are those that it was opened with. Disposing closes it. */
  static over(engine: Engine, parts: Parts, limits: FillLimits, topK: number): FillMask {
    return new FillMask(parts, engine, topK, limits);
  }

  /**
   * Checks that a line has a blank and fits the model.
   *
   * @throws {ClozeError} `input` if not.
   */
  prepare(line: string): Prepared {
    const { tokenizer } = this.#parts;
    const text = line.replace(BLANK, "[MASK]");
    const { ids, offsets } = tokenizer.encode(text, { specials: "mask" });
    const blanks = [...ids.keys()].filter((i) => ids[i] === tokenizer.special.mask);
    if (blanks.length === 0) {
      throw new ClozeError("input", "there is no blank in it", {
        hint: "write [MASK] or ____ where a word is missing",
      });
    }
    const most = this.#limits.max_sequence_length - 2;
    if (ids.length > most) {
      throw new ClozeError("input", `it has ${ids.length} tokens, but the model takes at most ${most}`);
    }
    return { text, ids, blanks, offsets: blanks.map((i) => offsets[i]) };
  }

  /** Fills the blanks of prepared lines, several in one call of the engine. */
  async fillPrepared(lines: readonly Prepared[]): Promise<FilledLine[]> {
    const filled: FilledLine[] = [];
    const { tokenizer } = this.#parts;
    for (const part of groupsByTokens(lines, ({ ids }) => ids.length + 2, this.#limits.max_tokens)) {
      const { ids, probabilities } = await this.#engine.topK(pack(part, tokenizer), this.#asked);
      let row = 0;
      for (const line of part) {
        const masks = line.blanks.map(() => {
          const answers: Prediction[] = [];
          for (let i = row * this.#asked; i < (row + 1) * this.#asked && answers.length < this.#topK; i++) {
            const token = tokenizer.vocabulary[ids[i]];
            if (token === undefined || tokenizer.isUnused(ids[i])) continue;
            answers.push({ token, id: ids[i], probability: probabilities[i] });
          }
          row++;
          return answers;
        });
        filled.push({ input: line.text, masks, sequence: insert(line, masks) });
      }
    }
    return filled;
  }

  /** Fills the blanks of lines of text. */
  async fill(lines: readonly string[]): Promise<FilledLine[]> {
    const prepared = lines.map((line) => this.prepare(line));
    const filled = await this.fillPrepared(prepared);
    return filled.map((result, i) => ({ ...result, input: lines[i] }));
  }

  /** Where it runs. */
  get device(): "cpu" | "cuda" {
    return this.#engine.describe().device;
  }

  [Symbol.dispose](): void {
    this.#engine.close();
  }
}

/** `[CLS] ids [SEP]` of each line end to end. */
function pack(lines: readonly Prepared[], tokenizer: Tokenizer): MlmBatch {
  const { cls, sep } = tokenizer.special;
  const packed = packSequences(lines.map(({ ids }) => [cls, ...ids, sep]));
  const blanks = lines.flatMap(({ blanks }, b) => blanks.map((blank) => packed.cu_seqlens[b] + 1 + blank));
  return { ...packed, masked_positions: Int32Array.from(blanks), labels: new Int32Array(0) };
}

/** The text with the best answers in its blanks; a piece inside a word is joined to what stands before it. */
function insert(line: Prepared, masks: Prediction[][]): string {
  let out = "", from = 0;
  line.offsets.forEach(([start, end], i) => {
    const { token } = masks[i][0];
    out += line.text.slice(from, start);
    out = token.startsWith("##") ? out.trimEnd() + token.slice(2) : out + token;
    from = end;
  });
  return out + line.text.slice(from);
}
