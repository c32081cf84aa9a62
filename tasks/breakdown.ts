/** Predictions told apart by what was to be predicted: its script, and how common it is. Used by the evaluate command. */

import { Tally, type TallyResult } from "./tally.ts";
import type { Unigram } from "./unigram.ts";

/** A group of predictions, and what guessing by frequency achieves on it. */
export interface Group {
  name: string;
  model: TallyResult;
  unigram: TallyResult;
}

/** Scripts, in the order in which a token that mixes them is counted. */
const SCRIPTS: [name: string, pattern: RegExp][] = [
  ["Hangul", /\p{Script=Hangul}/u],
  ["Kana", /[\p{Script=Hiragana}\p{Script=Katakana}]/u],
  ["Han", /\p{Script=Han}/u],
  ["Latin", /\p{Script=Latin}/u],
  ["Cyrillic", /\p{Script=Cyrillic}/u],
  ["other letters", /\p{L}/u],
  ["numbers", /\p{N}/u],
];

/** The script of a token; punctuation and symbols are `signs`, tokens such as `[UNK]` are `special`. */
export function scriptOf(token: string): string {
  if (/^\[[A-Z]+\]$/.test(token)) return "special";
  return SCRIPTS.find(([, pattern]) => pattern.test(token))?.[0] ?? "signs";
}

/** Last ranks of the bands of frequency, from 1. */
const BANDS = [100, 1000, 10_000];

/** The band of a token's frequency rank, from 0. */
export function bandOf(rank: number): string {
  const at = BANDS.findIndex((last) => rank < last);
  const number = (n: number) => n.toLocaleString("en-US");
  if (at < 0) return `rarer than ${number(BANDS[BANDS.length - 1])}`;
  return `${number(at === 0 ? 1 : BANDS[at - 1] + 1)}–${number(BANDS[at])}`;
}

/** Counts predictions by group. */
export class Breakdown {
  readonly #unigram: Unigram;
  readonly #nameOf: (id: number) => string;
  readonly #groups = new Map<string, { model: Tally; unigram: Tally }>();

  /** `nameOf` names the group of a token id. */
  constructor(unigram: Unigram, nameOf: (id: number) => string) {
    this.#unigram = unigram;
    this.#nameOf = nameOf;
  }

  /** Adds a prediction of token `id` by its loss and rank. */
  add(id: number, loss: number, rank: number): void {
    const name = this.#nameOf(id);
    let group = this.#groups.get(name);
    if (group === undefined) this.#groups.set(name, group = { model: new Tally(), unigram: new Tally() });
    group.model.add(loss, rank);
    group.unigram.add(this.#unigram.loss(id), this.#unigram.rank(id));
  }

  /** The groups that occur, the largest first. */
  get groups(): Group[] {
    const all = [...this.#groups].map(([name, { model, unigram }]) => ({
      name,
      model: model.result!, // a group has what made it
      unigram: unigram.result!,
    }));
    return all.sort((a, b) => b.model.count - a.model.count);
  }
}
