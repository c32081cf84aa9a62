/**
 * Ranks given answers for a blank. One of several tokens gets as many `[MASK]`s, which are filled from left to right: its
 * probability is the product of its tokens', each given those before it (the chain rule). Used by fill_mask.ts.
 */

import { ClozeError } from "../config/cloze_error.ts";
import { packMasked } from "../config/batch.ts";
import { groupsByTokens } from "../config/packed_sequences.ts";
import type { Engine } from "../ffi/mod.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";

/** An answer to choose, as the model sees it. */
interface Target {
  text: string;
  ids: Int32Array;
  /** The same at the beginning of a text, where no white space is before it. */
  first: Int32Array;
}

/** A blank of a sequence. */
export interface Blank {
  /** `[CLS]`, tokens, `[SEP]`. */
  ids: Int32Array;
  /** Index in `ids`. */
  blank: number;
}

/** A sequence with the tokens whose probability at `position` is wanted. */
interface Question {
  ids: Int32Array;
  position: number;
  wanted: { blank: number; target: number; id: number }[];
}

/** Given answers, and how they are ranked. */
export class Ranking {
  readonly #targets: readonly Target[];
  readonly #mask: number;
  /** Tokens of the longest. */
  readonly longest: number;

  /** @throws {ClozeError} `usage` if an answer is empty or has characters that the vocabulary lacks. */
  constructor(answers: readonly string[], tokenizer: Tokenizer) {
    this.#targets = targetsOf(answers, tokenizer);
    this.#mask = tokenizer.special.mask;
    this.longest = this.#targets.reduce((most, { ids, first }) => Math.max(most, ids.length, first.length), 1);
  }

  /** For each blank the answers, the most probable first. */
  async rank(blanks: readonly Blank[], engine: Engine, maxTokens: number): Promise<RankedAnswer[][]> {
    return await rankTargets(blanks, this.#targets, engine, this.#mask, maxTokens);
  }
}

/** An answer, with its id if it is one token. */
interface RankedAnswer {
  token: string;
  id?: number;
  probability: number;
}

function targetsOf(texts: readonly string[], tokenizer: Tokenizer): Target[] {
  return texts.map((text) => {
    const ids = tokenizer.wordIds(text, false);
    if (ids.length > 0 && !ids.includes(tokenizer.special.unk)) {
      return { text, ids, first: tokenizer.wordIds(text, true) };
    }
    throw new ClozeError("usage", `the target ${JSON.stringify(text)} cannot be an answer of this model`, {
      hint: ids.length === 0 ? "it holds no token" : "it holds characters that the vocabulary lacks",
    });
  });
}

async function rankTargets(
  blanks: readonly Blank[],
  targets: readonly Target[],
  engine: Engine,
  mask: number,
  maxTokens: number,
): Promise<RankedAnswer[][]> {
  const logProbability = blanks.map(() => new Float64Array(targets.length));
  for (const group of groupsByTokens(questionsOf(blanks, targets, mask), ({ ids }) => ids.length, maxTokens)) {
    const logits = await engine.logits(packMasked(group.map(({ ids, position }) => ({ ids, positions: [position] }))));
    const width = logits.length / group.length;
    for (const [row, { wanted }] of group.entries()) {
      const scores = logits.subarray(row * width, (row + 1) * width);
      const total = logSumExp(scores);
      for (const { blank, target, id } of wanted) logProbability[blank][target] += scores[id] - total;
    }
  }
  return logProbability.map((values, b) =>
    targets.map((target, t) => {
      const ids = idsAt(target, blanks[b]);
      return { token: target.text, ...(ids.length === 1 ? { id: ids[0] } : {}), probability: Math.exp(values[t]) };
    }).sort((a, b) => b.probability - a.probability)
  );
}

/** A target's ids in a blank. */
function idsAt({ ids, first }: Target, { blank }: Blank): Int32Array {
  return blank === 1 ? first : ids;
}

/** Targets of as many tokens that begin alike ask about the same sequence. */
function* questionsOf(blanks: readonly Blank[], targets: readonly Target[], mask: number): Generator<Question> {
  for (const [blank, { ids, blank: at }] of blanks.entries()) {
    const questions = new Map<string, Question>();
    for (const [target, answer] of targets.entries()) {
      const pieces = idsAt(answer, blanks[blank]);
      for (const [i, id] of pieces.entries()) {
        const inserted = pieces.map((piece, j) => j < i ? piece : mask);
        const key = inserted.join();
        const question = questions.get(key) ??
          {
            ids: Int32Array.of(...ids.subarray(0, at), ...inserted, ...ids.subarray(at + 1)),
            position: at + i,
            wanted: [],
          };
        question.wanted.push({ blank, target, id });
        questions.set(key, question);
      }
    }
    yield* questions.values();
  }
}

function logSumExp(values: Float32Array): number {
  const top = values.reduce((a, b) => Math.max(a, b), -Infinity);
  return top + Math.log(values.reduce((sum, value) => sum + Math.exp(value - top), 0));
}
