/**
 * Words that a vocabulary cannot write, which become `[UNK]`: how many, and a sample of them that says why. In bounded
 * memory, and mergeable: what is found does not depend on how the text was cut or on who counted. Used while text is
 * encoded: into shards, by evaluate and by finetune.
 */

import type { UnknownCauses } from "../config/metric.ts";
import { scriptOf, type Specials, type Tokenizer, type UnknownCounts } from "../tokenizer/mod.ts";

/** A sample that can be sent to another thread. */
export interface SampleState {
  level: number;
  counts: Map<string, number>;
}

/** Most different strings that are kept. */
const MOST = 1024;
/** Bytes that are kept of one: more than the longest word that a tokenizer takes. */
const LONGEST = 2048;
/** What is shown: words, characters of a word, scripts, characters of a script. */
const EXAMPLES = 5, EXAMPLE = 24, SCRIPTS = 3, CHARACTERS = 8;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

/** Words, tokens and unknown words of a text, from how often each id occurs. */
export function unknownOf(counts: Float64Array, tokenizer: Tokenizer): UnknownCounts {
  const sum = { words: 0, tokens: 0, unknown: counts[tokenizer.special.unk] };
  counts.forEach((count, id) => {
    sum.tokens += count;
    if (tokenizer.startsWord(id)) sum.words += count;
  });
  return sum;
}

/**
 * Strings without white space in which a word became `[UNK]`. Of 2^level different ones it keeps one, chosen by its hash,
 * with all its repetitions.
 */
export class UnknownSample {
  #level = 0;
  readonly #counts = new Map<string, number>();

  /** Whether the sample would keep `bytes[from..to)`. */
  keeps(bytes: Uint8Array, from: number, to: number): boolean {
    return isKept(hash(bytes, from, cut(bytes, from, to)), this.#level);
  }

  /** Adds `bytes[from..to)`. */
  add(bytes: Uint8Array, from: number, to: number): void {
    if (!this.keeps(bytes, from, to)) return;
    to = cut(bytes, from, to);
    const text = decoder.decode(bytes.slice(from, to));
    this.#counts.set(text, (this.#counts.get(text) ?? 0) + 1);
    if (this.#counts.size > MOST) this.#raise(this.#level + 1);
  }

  /** Adds those of a text that became these ids, encoded with these `specials`. */
  addText(text: string, ids: ArrayLike<number>, tokenizer: Tokenizer, specials: Specials = "all"): void {
    const { unk } = tokenizer.special;
    if (!Array.prototype.includes.call(ids, unk)) return;
    for (const part of text.split(/\s+/)) {
      const ids: number[] = [];
      tokenizer.encodeIds(part, ids, specials);
      if (!ids.includes(unk)) continue;
      const bytes = encoder.encode(part);
      this.add(bytes, 0, bytes.length);
    }
  }

  #raise(level: number): void {
    this.#level = level;
    for (const text of this.#counts.keys()) {
      const bytes = encoder.encode(text);
      if (!isKept(hash(bytes, 0, bytes.length), level)) this.#counts.delete(text);
    }
    if (this.#counts.size > MOST) this.#raise(level + 1);
  }

  /** Adds what another sample has. */
  merge(other: SampleState): void {
    for (const [text, count] of other.counts) this.#counts.set(text, (this.#counts.get(text) ?? 0) + count);
    this.#raise(Math.max(this.#level, other.level)); // what only one of them has kept goes away
  }

  /** Everything, for `merge`. */
  get state(): SampleState {
    return { level: this.#level, counts: this.#counts };
  }

  /** Why the words became `[UNK]`, or `undefined` if none did. */
  causes(tokenizer: Tokenizer): UnknownCauses | undefined {
    const words = this.#words(tokenizer);
    const all = words.reduce((sum, { count }) => sum + count, 0);
    if (all === 0) return undefined;
    const share = (count: number) => Math.round(1e4 * count / all) / 1e4;
    const lacking = new Map<string, { count: number; characters: Map<string, number> }>();
    let tooLong = 0, cased = 0;
    for (const { word, count } of words) {
      const characters = Array.from(word);
      if (characters.length > tokenizer.longestWord) {
        tooLong += count;
        continue;
      }
      if (word.toLowerCase() !== word && isKnown(word.toLowerCase(), tokenizer)) cased += count;
      const missing = new Set(
        characters.filter((c) => !tokenizer.canWrite(c)),
      );
      for (const script of new Set(Array.from(missing, scriptOf))) {
        const found = lacking.get(script) ?? { count: 0, characters: new Map() };
        found.count += count;
        for (const c of missing) {
          if (scriptOf(c) === script) found.characters.set(c, (found.characters.get(c) ?? 0) + count);
        }
        lacking.set(script, found);
      }
    }
    return {
      too_long: share(tooLong),
      cased: share(cased),
      lacking: byCount([...lacking], ([, { count }]) => count, ([script]) => script).slice(0, SCRIPTS)
        .map(([script, { count, characters }]) => ({
          script,
          share: share(count),
          characters: byCount([...characters], ([, n]) => n, ([c]) => c).slice(0, CHARACTERS).map(([c]) => visible(c)),
        })),
      examples: words.slice(0, EXAMPLES).map(({ word }) => shortened(word)),
    };
  }

  /** The words among the strings that became `[UNK]`, the most frequent first. */
  #words(tokenizer: Tokenizer): { word: string; count: number }[] {
    const counts = new Map<string, number>();
    for (const [text, count] of this.#counts) {
      for (const word of tokenizer.words(text)) {
        if (!isKnown(word, tokenizer)) counts.set(word, (counts.get(word) ?? 0) + count);
      }
    }
    return byCount([...counts], ([, count]) => count, ([word]) => word).map(([word, count]) => ({ word, count }));
  }
}

function isKnown(word: string, tokenizer: Tokenizer): boolean {
  const ids: number[] = [];
  tokenizer.encodeIds(word, ids);
  return !ids.includes(tokenizer.special.unk);
}

/** The largest first; of equal ones in the order of their names. */
function byCount<T>(items: T[], count: (item: T) => number, name: (item: T) => string): T[] {
  return items.sort((a, b) => count(b) - count(a) || (name(a) < name(b) ? -1 : 1));
}

function shortened(word: string): string {
  const characters = Array.from(word, visible);
  return characters.length <= EXAMPLE ? characters.join("") : `${characters.slice(0, EXAMPLE - 1).join("")}…`;
}

/** A character as people can see it: one that is not shown, and may steer a terminal, by its number. */
function visible(character: string): string {
  if (!/[\p{C}\p{Z}]/u.test(character)) return character;
  return `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`;
}

/** The end of what is kept of a string: between two characters. */
function cut(bytes: Uint8Array, from: number, to: number): number {
  if (to <= from + LONGEST) return to;
  to = from + LONGEST;
  while ((bytes[to] & 0xC0) === 0x80) to--;
  return to;
}

const isKept = (hash: number, level: number): boolean => (hash >>> 0) % 2 ** level === 0;

/** FNV-1a, with MurmurHash3's last step, so that its low bits depend on every byte. */
function hash(bytes: Uint8Array, from: number, to: number): number {
  let h = 0x811C9DC5;
  for (let i = from; i < to; i++) h = Math.imul(h ^ bytes[i], 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85EBCA6B);
  h = Math.imul(h ^ (h >>> 13), 0xC2B2AE35);
  return h ^ (h >>> 16);
}
