/**
 * Which tokens of a sequence are masked and what becomes of them (Devlin et al., 2019, section 3.1; whole words as in
 * google-research/bert's `create_masked_lm_predictions`; spans as in Joshi et al., 2020, section 3.1). A pure function of
 * the sequence and its random numbers. Used by the collator.
 */

import type { MaskingConfig } from "../config/batch_config.ts";
import type { Random } from "./rng.ts";
import { WORD_START } from "./sequences.ts";

/** What the vocabulary says of each id. */
export interface TokenKinds {
  mask: number;
  /** `[V]` 0: an ordinary token that begins a word; 1: one that continues a word; 2: a special token. */
  kinds: Uint8Array;
  /** `[V]` 1: a word ends with the token, whatever follows it; 2: what follows is of its word. */
  ends: Uint8Array;
  /** Ids of ordinary tokens: the replacements. */
  ordinary: Int32Array;
}

/** Tokens of a word that are chosen together at most; longer words are cut, so that no sequence is masked as a whole. */
export const LONGEST_WORD = 16;
/** Lengths of spans in words: geometric with p = 0.2, at most ten. */
const SPAN_P = 0.2, LONGEST_SPAN = 10;
const SPAN_TOTAL = 1 - (1 - SPAN_P) ** LONGEST_SPAN;

/** Chooses positions of a sequence. Keeps its memory between sequences. */
export class Masker {
  /** Chance, or share, of a token of the next sequences. */
  mlm_probability: number;
  readonly #options: MaskingConfig;
  readonly #tokens: TokenKinds;
  /** Units: where each begins and ends. */
  #starts: number[] = [];
  #ends: number[] = [];
  /** Of each position its unit, or −1. */
  #unitOf = new Int32Array(512);
  /** Of each position: 0, or the number of the unit or span that it was chosen with, from 1. */
  #chosen = new Int32Array(512);

  constructor(options: MaskingConfig, tokens: TokenKinds) {
    this.mlm_probability = options.mlm_probability;
    this.#options = options;
    this.#tokens = tokens;
  }

  /**
   * Masks `ids[from … to)` in place, calling `onMasked` with each chosen position and the id that stood there, in
   * increasing order. `choose` says which tokens, `replace` what becomes of them.
   */
  mask(
    ids: Int32Array,
    from: number,
    to: number,
    choose: Random,
    replace: Random,
    onMasked: (position: number, id: number) => void,
  ): void {
    const { mlm_probability } = this;
    const { masking, mask_count } = this.#options;
    if (this.#chosen.length < to - from) {
      [this.#chosen, this.#unitOf] = [0, 1].map(() => new Int32Array(2 * (to - from)));
    }
    const chosen = this.#chosen.subarray(0, to - from).fill(0);
    this.#findUnits(ids, from, to);
    if (mlm_probability > 0 && this.#starts.length > 0) {
      const budget = Math.max(1, halfEven((to - from) * mlm_probability));
      if (masking === "span") this.#spans(chosen, budget, choose);
      else if (mask_count === "exact") this.#exactly(chosen, budget, choose);
      else this.#each(chosen, choose);
    }
    this.#replace(ids, from, chosen, replace, onMasked);
  }

  /** Cuts the sequence into what is chosen as one, leaving special tokens out. Positions count from `from`. */
  #findUnits(ids: Int32Array, from: number, to: number): void {
    const { kinds, ends } = this.#tokens;
    const { masking } = this.#options;
    this.#starts.length = this.#ends.length = 0;
    let open = false;
    for (let at = from; at < to; at++) {
      const isStart = (ids[at] & WORD_START) !== 0;
      const id = ids[at] &= ~WORD_START;
      if (kinds[id] === SPECIAL) {
        this.#unitOf[at - from] = -1;
        open = false;
        continue;
      }
      const last = this.#starts.length - 1;
      // Tokens of a word are neighbours of which none begins a word and none ends one, and that no white space parts.
      const before = at === from ? ENDS : ends[ids[at - 1]];
      const isInside = !isStart && (before === OPENS || (kinds[id] === CONTINUES && before !== ENDS));
      const goesOn = masking === "eojeol" ? !isStart : masking !== "token" && isInside;
      if (open && goesOn && at - from - this.#starts[last] < LONGEST_WORD) {
        this.#ends[last]++;
      } else {
        this.#starts.push(at - from);
        this.#ends.push(at - from + 1);
      }
      this.#unitOf[at - from] = this.#starts.length - 1;
      open = true;
    }
  }

  #each(chosen: Int32Array, choose: Random): void {
    const { mlm_probability } = this;
    for (let unit = 0; unit < this.#starts.length; unit++) {
      if (choose.uniform() < mlm_probability) chosen.fill(unit + 1, this.#starts[unit], this.#ends[unit]);
    }
  }

  /** In random order until the budget is spent; a word that would exceed it is passed over. */
  #exactly(chosen: Int32Array, budget: number, choose: Random): void {
    const order = Array.from(this.#starts.keys());
    for (let i = 0; i < order.length && budget > 0; i++) {
      const other = i + choose.below(order.length - i);
      const unit = order[other];
      order[other] = order[i];
      const length = this.#ends[unit] - this.#starts[unit];
      if (length > budget) continue;
      chosen.fill(unit + 1, this.#starts[unit], this.#ends[unit]);
      budget -= length;
    }
  }

  /** Spans of words, each from the word of a random token on, until the budget is spent; the last may be cut short. */
  #spans(chosen: Int32Array, budget: number, choose: Random): void {
    const starts = this.#starts, ends = this.#ends, unitOf = this.#unitOf;
    let free = starts.length; // words of which no token is chosen
    for (let span = 1; budget > 0 && free > 0; span++) {
      let words = spanLength(choose);
      const isFree = (at: number) => unitOf[at] >= 0 && chosen[starts[unitOf[at]]] === 0;
      let at = choose.below(chosen.length);
      for (let tries = 0; tries < 100 && !isFree(at); tries++) at = choose.below(chosen.length);
      while (!isFree(at)) at = (at + 1) % chosen.length;
      for (let unit = unitOf[at]; words > 0 && unit < starts.length && budget > 0; words--, unit++) {
        if (chosen[starts[unit]] > 0) break;
        for (let at = starts[unit]; at < ends[unit] && budget > 0; at++, budget--) chosen[at] = span;
        free--;
      }
    }
  }

  /** Units are replaced token by token, spans as a whole. */
  #replace(
    ids: Int32Array,
    from: number,
    chosen: Int32Array,
    replace: Random,
    onMasked: (position: number, id: number) => void,
  ): void {
    const { mask, ordinary } = this.#tokens;
    const { masking, mask_share, random_share } = this.#options;
    let action = 0, unit = 0;
    for (let i = 0; i < chosen.length; i++) {
      if (chosen[i] === 0) continue;
      // A span lies together, so that its tokens follow one another here.
      if (masking !== "span" || chosen[i] !== unit) action = replace.uniform();
      unit = chosen[i];
      const other = ordinary[replace.below(ordinary.length)];
      const at = from + i;
      onMasked(at, ids[at]);
      if (action < mask_share) ids[at] = mask;
      else if (action < mask_share + random_share) ids[at] = other;
    }
  }
}

/** Values of {@linkcode TokenKinds.kinds}. */
export const BEGINS = 0, CONTINUES = 1, SPECIAL = 2;

/** Values of {@linkcode TokenKinds.ends}, beside 0. */
export const ENDS = 1, OPENS = 2;

/** Words of a span. */
function spanLength(random: Random): number {
  // The inverse of the distribution function of a geometric variable that is at most LONGEST_SPAN.
  const u = random.uniform() * SPAN_TOTAL;
  return Math.min(LONGEST_SPAN, 1 + Math.floor(Math.log1p(-u) / Math.log1p(-SPAN_P)));
}

/** Rounds to the nearest whole number, and halves to the even one, as Python does. */
function halfEven(x: number): number {
  const rounded = Math.round(x);
  return x % 1 === 0.5 && rounded % 2 === 1 ? rounded - 1 : rounded;
}

/** The share of tokens to choose where `done` of a run is done, from 0 to 1. */
export function maskRate(options: MaskingConfig, done: number): number {
  const { mlm_probability, final_mlm_probability = mlm_probability } = options;
  return mlm_probability + (final_mlm_probability - mlm_probability) * done;
}

/** Most tokens that will be chosen in a batch: certain for `exact`, else with a margin of eight standard deviations. */
export function maxMasked(options: MaskingConfig, batch_tokens: number, max_sequence_length: number): number {
  const { masking, mask_count } = options;
  const p = Math.max(maskRate(options, 0), maskRate(options, 1));
  if (p === 0) return 1;
  if (masking !== "span" && mask_count === "bernoulli") {
    // Tokens of a word are chosen together, so the variance is up to the longest word's length times as large.
    const together = masking === "token" ? 1 : LONGEST_WORD;
    const deviation = Math.sqrt(together * batch_tokens * p * (1 - p));
    return Math.min(batch_tokens, Math.ceil(batch_tokens * p + 8 * deviation) + 1);
  }
  let most = 1;
  for (let length = 3; length <= max_sequence_length; length++) {
    const each = Math.min(length - 2, Math.max(1, halfEven(length * p)));
    most = Math.max(most, Math.ceil(batch_tokens / length * each));
  }
  return Math.min(batch_tokens, most);
}
