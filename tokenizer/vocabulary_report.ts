/** How well a vocabulary fits a text, from the text's counted words. Used by the commands. */

import { IdBuffer } from "./id_buffer.ts";
import type { Tokenizer } from "./tokenizer.ts";
import { codePointAt, widthOf } from "./utf8.ts";
import type { WordCounts } from "./word_counter.ts";

/** Figures over all occurrences of all words. A word is what the pre-tokenizer makes: punctuation marks are words. */
export interface VocabularyReport {
  words: number;
  tokens: number;
  /** Tokens a word. */
  fertility: number;
  /** Of each id: how often it occurs. */
  occurrences: Float64Array;
  /** Share of words that became `[UNK]`. */
  unk_rate: number;
  /** The most frequent script first. */
  scripts: ScriptCoverage[];
}

/** How much of a script is kept. */
export interface ScriptCoverage {
  script: string;
  characters: number;
  /** Share of them in words that did not become `[UNK]`. */
  coverage: number;
}

const SCRIPTS: readonly [string, RegExp][] = [
  ["punctuation", /[\p{P}\p{S}]/u],
  ["digits", /\p{N}/u],
  ...["Hangul", "Latin", "Han", "Hiragana", "Katakana", "Cyrillic", "Greek", "Arabic", "Hebrew", "Devanagari", "Thai"]
    .map((script): [string, RegExp] => [script, new RegExp(`\\p{Script=${script}}`, "u")]),
];

/** Encodes every word once and adds up. */
export function vocabularyReport(tokenizer: Tokenizer, { bytes, ends, counts }: WordCounts): VocabularyReport {
  const scriptOf = new Map<number, string>();
  const characters = new Map<string, { all: number; kept: number }>();
  const ids = new IdBuffer();
  const occurrences = new Float64Array(tokenizer.size);
  let words = 0, tokens = 0, unknown = 0;
  for (let word = 0, start = 0; word < ends.length; start = ends[word++]) {
    const count = counts[word];
    ids.truncate(0);
    tokenizer.encodeWord(bytes, start, ends[word], ids);
    const isUnknown = ids.view().includes(tokenizer.special.unk);
    words += count;
    tokens += count * ids.length;
    for (const id of ids.view()) occurrences[id] += count;
    if (isUnknown) unknown += count;
    for (let i = start; i < ends[word]; i += widthOf(bytes[i])) {
      const code = codePointAt(bytes, i);
      if (code === 0x20 || code === 0x2581) continue; // white space that a word has before it
      let script = scriptOf.get(code);
      if (script === undefined) {
        const character = String.fromCodePoint(code);
        scriptOf.set(code, script = SCRIPTS.find(([, pattern]) => pattern.test(character))?.[0] ?? "other");
      }
      let sums = characters.get(script);
      if (sums === undefined) characters.set(script, sums = { all: 0, kept: 0 });
      sums.all += count;
      if (!isUnknown) sums.kept += count;
    }
  }
  const scripts = [...characters].map(([script, { all, kept }]) => ({ script, characters: all, coverage: kept / all }));
  scripts.sort((a, b) => b.characters - a.characters || (a.script < b.script ? -1 : 1));
  const [fertility, unk_rate] = [tokens, unknown].map((count) => count / Math.max(1, words));
  return { words, tokens, fertility, occurrences, unk_rate, scripts };
}
