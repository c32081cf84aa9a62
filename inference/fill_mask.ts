/**
 * Fills blanks: text with `[MASK]` (or three or more underscores) → the most probable tokens for each. Used by the predict
 * command and by programs.
 */

import { ClozeError } from "../config/cloze_error.ts";
import type { MlmBatch } from "../config/mlm_batch.ts";
import { Engine } from "../ffi/mod.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import { type ModelFolder, openModelFolder } from "./model_folder.ts";

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
export interface FillMaskOptions {
  /** Answers for each blank; 5 unless given. */
  topK?: number;
  threads?: number;
  engine?: "fused" | "candle";
}

/** Tokens that the engine takes at once. */
const BATCH_TOKENS = 2048;
const BLANK = /_{3,}/g;

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
  readonly #topK: number;
  readonly #limits: FillLimits;

  private constructor(parts: Parts, engine: Engine, topK: number, limits: FillLimits) {
    this.#parts = parts;
    this.#engine = engine;
    this.#topK = Math.min(topK, parts.config.vocab_size);
    this.#limits = limits;
  }

  /** @throws {ClozeError} if the folder or the core cannot be used. */
  static async open(path: string, options: FillMaskOptions = {}): Promise<FillMask> {
    const folder = await openModelFolder(path);
    const { config, weights } = folder;
    const max_tokens = Math.max(BATCH_TOKENS, config.max_position_embeddings);
    const engine = await Engine.open({
      config,
      weights,
      engine: options.engine ?? "fused",
      device: "cpu",
      threads: options.threads ?? navigator.hardwareConcurrency,
      seed: 0,
      max_tokens,
      max_sequences: Math.ceil(max_tokens / 3),
      max_masked: max_tokens,
      max_sequence_length: config.max_position_embeddings,
      training: false,
    });
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
    for (let from = 0; from < lines.length;) {
      let to = from, tokens = 0;
      while (to < lines.length && (to === from || tokens + lines[to].ids.length + 2 <= this.#limits.max_tokens)) {
        tokens += lines[to++].ids.length + 2;
      }
      const part = lines.slice(from, to);
      const { ids, probabilities } = await this.#engine.topK(pack(part, this.#parts.tokenizer), this.#topK);
      let row = 0;
      for (const line of part) {
        const masks = line.blanks.map(() => {
          const answers: Prediction[] = [];
          for (let i = row * this.#topK; i < (row + 1) * this.#topK; i++) {
            // Ids behind the vocabulary are padding of the embedding, which no text was ever trained on.
            const token = this.#parts.tokenizer.vocabulary[ids[i]] ?? `[${ids[i]}]`;
            answers.push({ token, id: ids[i], probability: probabilities[i] });
          }
          row++;
          return answers;
        });
        filled.push({ input: line.text, masks, sequence: insert(line, masks) });
      }
      from = to;
    }
    return filled;
  }

  /** Fills the blanks of lines of text. */
  async fill(lines: readonly string[]): Promise<FilledLine[]> {
    const prepared = lines.map((line) => this.prepare(line));
    const filled = await this.fillPrepared(prepared);
    return filled.map((result, i) => ({ ...result, input: lines[i] }));
  }

  [Symbol.dispose](): void {
    this.#engine.close();
  }
}

/** `[CLS] ids [SEP]` of each line end to end. */
function pack(lines: readonly Prepared[], tokenizer: Tokenizer): MlmBatch {
  const { cls, sep } = tokenizer.special;
  const ids: number[] = [], positions: number[] = [], blanks: number[] = [];
  const bounds = [0];
  for (const line of lines) {
    const start = ids.length;
    for (const blank of line.blanks) blanks.push(start + 1 + blank);
    ids.push(cls, ...line.ids, sep);
    for (let i = start; i < ids.length; i++) positions.push(i - start);
    bounds.push(ids.length);
  }
  return {
    input_ids: Int32Array.from(ids),
    token_type_ids: new Int32Array(ids.length),
    position_ids: Int32Array.from(positions),
    cu_seqlens: Int32Array.from(bounds),
    masked_positions: Int32Array.from(blanks),
    labels: new Int32Array(0),
  };
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
