/**
 * Fills blanks: text with `[MASK]`, `<mask>` or three or more underscores → the most probable tokens for each. Used by the predict
 * command and by programs.
 */

import { ClozeError } from "../config/cloze_error.ts";
import { type MaskedSequence, packMasked } from "../config/batch.ts";
import { longestText } from "../model/families.ts";
import { type ModelHeads, tokenHeads } from "../model/model_heads.ts";
import { groupsByTokens } from "../config/packed_sequences.ts";
import type { Engine } from "../ffi/mod.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";
import { type UnknownCounts, unknownCounts } from "../tokenizer/unknown_counts.ts";
import { checkCount, checkTexts, prepareEach } from "./arguments.ts";
import type { ModelFolder } from "../model/model_folder.ts";
import {
  answerLimits,
  checkOptions,
  folderOf,
  type GivenModel,
  type InferenceOptions,
  openBoth,
  OpenModel,
} from "./open_engine.ts";
import type { Ranking } from "./rank_targets.ts";

/** What filling needs to know of a model. */
type Parts = Pick<ModelFolder, "config" | "tokenizer">;

/** What an engine takes at once. */
type FillLimits = { max_tokens: number; max_sequence_length: number };

/** One answer for a blank. */
export interface Prediction {
  /** The answer. */
  token: string;
  /** The token's id; missing for a target that is several tokens. */
  id?: number;
  /** From 0 to 1. */
  probability: number;
}

/** A line with its blanks filled. */
export interface FilledLine {
  /** As it was given. */
  input: string;
  /** For each blank, from left to right, the answers, best first. */
  masks: Prediction[][];
  /**
   * The input with its blanks filled. Of several blanks the one whose answer is most probable is filled first, and the
   * others are then asked again, so that the answers agree with each other; targets are put in as they are ranked.
   */
  sequence: string;
  /** Whether the model saw only the surroundings of the blanks, because the line is longer than it takes. */
  truncated: boolean;
  /** Words beside the blanks that became `[UNK]`: the model cannot tell them apart. */
  unknown: number;
}

/** How a {@linkcode FillMask} is opened. */
export interface FillMaskOptions extends InferenceOptions {
  /** Answers for each blank; 5 unless given. */
  topK?: number;
  /** Answers to choose from, instead of the whole vocabulary; all are given, best first. */
  targets?: readonly string[];
}

/** Tokens that the engine takes at once. */
const BATCH_TOKENS = 2048;
/** How a person may write a blank, whatever the model's mask token is called. */
export const BLANK = /_{3,}|\[MASK\]|<mask>/g;

/** What a model is that cannot fill blanks, and what can be done with it; nothing of one that can. */
function whyNot(
  { tokens, next_sentence, is_decoder, classifier, token_classifier }: ModelHeads,
): [what: string, hint: string] | undefined {
  if (token_classifier !== null) return ["classifies tokens", "use the pretrained model that was fine-tuned"];
  if (classifier !== null) return ["classifies sequences", "use the pretrained model that was fine-tuned"];
  if (!tokens && next_sentence) {
    return ["only tells whether a text follows another", "use BertForPreTraining, or its like"];
  }
  if (!tokens) {
    return [
      "is a bare encoder without a masked-LM head",
      "use a model that was saved with one, such as BertForMaskedLM",
    ];
  }
  if (!is_decoder) return undefined;
  return ["is a left-to-right model, which sees only what stands before a blank", "use a model trained with mlm"];
}

/** A line as the model sees it: all of its tokens, or those around the blanks, which are the positions. */
export interface PreparedLine extends MaskedSequence {
  /** With the model's mask token for each blank. */
  text: string;
  /** Where in `text` the blanks stand. */
  offsets: [number, number][];
  /** Whether the line is longer than the model takes. */
  truncated: boolean;
  /** Of the whole line, without the blanks. */
  counts: UnknownCounts;
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
export class FillMask extends OpenModel {
  readonly #parts: Parts;
  readonly #engine: Engine;
  /** Answers to give, and to ask the engine for: special tokens and ids that no text is encoded as are left out. */
  readonly #topK: number;
  readonly #asked: number;
  readonly #limits: FillLimits;
  /** Ranks the targets, if there are any. */
  readonly #ranking: Ranking | undefined;

  private constructor(parts: Parts, engine: Engine, limits: FillLimits, topK: number, ranking?: Ranking) {
    super(engine);
    this.#parts = parts;
    this.#engine = engine;
    this.#ranking = ranking;
    const { tokenizer, config: { vocab_size } } = parts;
    const others = tokenizer.specialCount + vocab_size - tokenizer.size;
    this.#topK = Math.min(topK, vocab_size - others);
    this.#asked = this.#topK + others;
    this.#limits = limits;
  }

  /**
   * Opens a model: the path of its folder, or what was read of one.
   *
   * @throws {ClozeError} if the folder, the core or a target cannot be used.
   */
  static async open(model: GivenModel, options: FillMaskOptions = {}): Promise<FillMask> {
    checkOptions(options);
    const { topK = 5, targets: answers } = options;
    checkCount("topK", topK, 1, 2 ** 28);
    if (answers !== undefined) {
      checkTexts("targets", answers);
      if (answers.length === 0) throw new ClozeError("usage", "targets is empty: there is no answer to choose");
    }
    const begun = await folderOf(model);
    const { config, heads, path } = begun;
    const refusal = whyNot(heads);
    if (refusal !== undefined) {
      const [what, hint] = refusal;
      throw new ClozeError("input", `${path} cannot fill blanks: it ${what}`, { hint });
    }
    const most = answerLimits(begun, BATCH_TOKENS, 3);
    const { folder, engine } = await openBoth(begun, tokenHeads(heads), most, options);
    const limits = { max_tokens: BATCH_TOKENS, max_sequence_length: longestText(config) };
    try {
      if (answers === undefined) return new FillMask(folder, engine, limits, topK);
      const { Ranking } = await rankTargets();
      return new FillMask(folder, engine, limits, topK, new Ranking([...new Set(answers)], folder.tokenizer));
    } catch (error) {
      engine.close();
      throw error;
    }
  }

  /** Over an engine that is open, as while it trains; `limits` are those that it was opened with. Disposing closes it. */
  static over(engine: Engine, parts: Parts, limits: FillLimits, topK: number): FillMask {
    return new FillMask(parts, engine, limits, topK);
  }

  /**
   * Checks that a line has a blank, and takes what fits the model around it.
   *
   * @throws {ClozeError} `input` if it has none, or if they are farther apart than the model sees.
   */
  prepare(line: string): PreparedLine {
    const { tokenizer } = this.#parts;
    const { cls, sep, mask } = tokenizer.special;
    const text = line.replace(BLANK, () => tokenizer.names.mask);
    const { ids, offsets } = tokenizer.encode(text);
    const found = [...ids.keys()].filter((i) => ids[i] === mask);
    if (found.length === 0) {
      throw new ClozeError("input", "there is no blank in it", {
        hint: "write [MASK], <mask> or ____ where a word is missing",
      });
    }
    const most = this.#limits.max_sequence_length - 2 - ((this.#ranking?.longest ?? 1) - 1);
    const span = found.at(-1)! + 1 - found[0];
    if (span > most) {
      throw new ClozeError("input", `its blanks are ${span} tokens apart, but the model takes at most ${most}`);
    }
    const before = found[0] - Math.floor((most - span) / 2);
    const from = Math.max(0, Math.min(before, ids.length - most));
    return {
      text,
      ids: Int32Array.of(cls, ...ids.subarray(from, from + most), sep),
      positions: found.map((i) => i - from + 1),
      offsets: found.map((i) => offsets[i]),
      truncated: ids.length > most,
      counts: unknownCounts(ids.filter((id) => id !== mask), tokenizer),
    };
  }

  /**
   * Fills the blanks of prepared lines, several in one call of the engine.
   *
   * @param known the answers for each blank while all are blank, best first, where the engine was asked for them before.
   */
  async fillPrepared(lines: readonly PreparedLine[], known?: Prediction[][][]): Promise<FilledLine[]> {
    if (this.#ranking !== undefined) return await this.#chooseTargets(lines, this.#ranking);
    const masks = known ?? await this.#ask(lines);
    const fillings = lines.map(({ ids, positions }, i) => new Filling(ids, positions, masks[i]));
    for (let open = fillings;;) {
      for (const filling of open) filling.settleSurest();
      open = open.filter(({ positions }) => positions.length > 0);
      if (open.length === 0) break;
      const answers = await this.#ask(open);
      open.forEach((filling, i) => filling.answers = answers[i]);
    }
    return lines.map((line, i) =>
      filledLine(this.#parts.tokenizer, line, masks[i], line.positions.map((blank) => fillings[i].tokens.get(blank)!))
    );
  }

  /** The answers for each blank of each line. */
  async #ask(lines: readonly MaskedSequence[]): Promise<Prediction[][][]> {
    const { tokenizer } = this.#parts;
    const answers: Prediction[][][] = [];
    for (const part of groupsByTokens(lines, ({ ids }) => ids.length, this.#limits.max_tokens)) {
      const { ids, probabilities } = await this.#engine.topK(packMasked(part), this.#asked);
      let row = 0;
      for (const { positions } of part) {
        answers.push(positions.map(() => {
          const best: Prediction[] = [];
          for (let i = row * this.#asked; i < (row + 1) * this.#asked && best.length < this.#topK; i++) {
            if (ids[i] >= tokenizer.size || tokenizer.isSpecial(ids[i])) continue;
            best.push({ token: tokenizer.shown(ids[i]), id: ids[i], probability: probabilities[i] });
          }
          row++;
          return best;
        }));
      }
    }
    return answers;
  }

  /** The targets in each blank; the other blanks of a line stay blank meanwhile. */
  async #chooseTargets(lines: readonly PreparedLine[], ranking: Ranking): Promise<FilledLine[]> {
    const blanks = lines.flatMap(({ ids, positions }) => positions.map((blank) => ({ ids, blank })));
    const { tokenizer } = this.#parts;
    const ranked = await ranking.rank(blanks, this.#engine, this.#limits.max_tokens);
    return lines.map((line) => {
      const masks = ranked.splice(0, line.positions.length);
      // Where tokens have the white space before them, the token says it and the text does not.
      const fillings = masks.map(([{ token, id }]) => tokenizer.isSpaced ? id ?? token : token);
      return filledLine(tokenizer, line, masks, fillings);
    });
  }

  /**
   * Fills the blanks of lines of text.
   *
   * @throws {ClozeError} if one cannot be filled, with its number, or if the model has been disposed of.
   */
  async fill(lines: readonly string[]): Promise<FilledLine[]> {
    const prepared = prepareEach("lines", lines, (line) => this.prepare(line));
    this.#engine.checkOpen();
    const filled = await this.fillPrepared(prepared);
    return filled.map((result, i) => ({ ...result, input: lines[i] }));
  }

  /** What a person should know of how its tokenizer was read, as sentences. */
  get notes(): readonly string[] {
    return this.#parts.tokenizer.notes;
  }
}

/** What only given answers need. The path is made here, because Deno reads a written-out one before a program starts. */
const rankTargets = (): Promise<typeof import("./rank_targets.ts")> =>
  import(new URL("rank_targets.ts", import.meta.url).href);

/** A line while its blanks are filled one after the other. */
class Filling implements MaskedSequence {
  readonly ids: Int32Array;
  /** Blanks that are still open. */
  positions: number[];
  /** Of each open blank, best first. */
  answers: Prediction[][];
  /** Of the filled blanks. */
  readonly tokens = new Map<number, number>();

  constructor(ids: Int32Array, positions: readonly number[], answers: Prediction[][]) {
    this.ids = ids.slice();
    this.positions = [...positions];
    this.answers = answers;
  }

  /** Fills the open blank whose best answer is most probable. */
  settleSurest(): void {
    const sure = this.answers.map(([{ probability }]) => probability);
    const surest = sure.indexOf(Math.max(...sure));
    const [{ id }] = this.answers[surest];
    const [blank] = this.positions.splice(surest, 1);
    this.ids[blank] = id!;
    this.tokens.set(blank, id!);
  }
}

/** A piece inside a word is joined to what stands before it. */
function filledLine(
  tokenizer: Tokenizer,
  line: PreparedLine,
  masks: Prediction[][],
  fillings: readonly (number | string)[],
): FilledLine {
  let sequence = "", from = 0;
  line.offsets.forEach(([first, last], i) => {
    // A mask token that takes the white space beside it (lstrip, rstrip) leaves it where it is.
    const blank = line.text.slice(first, last);
    const start = last - blank.trimStart().length, end = first + blank.trimEnd().length;
    sequence += line.text.slice(from, start);
    // Blanks side by side are two words, unless the answer is a piece inside of one.
    const filling = fillings[i], isBeside = i > 0 && start === from;
    if (isBeside && !tokenizer.isSpaced && (typeof filling === "string" || tokenizer.startsWord(filling))) {
      sequence += " ";
    }
    sequence = tokenizer.join(sequence, filling);
    from = end;
  });
  const { text: input, truncated, counts: { unknown } } = line;
  return { input, masks, sequence: sequence + input.slice(from), truncated, unknown };
}
