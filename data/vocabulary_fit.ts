/**
 * How well a vocabulary fits a text that it was not made for: how many pieces its words are cut into, by script. Reads
 * shards, not text. Called by the pretrain command when a run goes on from a model.
 */

import { scriptOf, type Tokenizer } from "../tokenizer/mod.ts";
import type { Shard } from "./shard.ts";
import { sentenceLength } from "./shard_format.ts";

/** Counts of words. A word is what the pre-tokenizer makes: punctuation marks are words. */
export interface WordFit {
  words: number;
  tokens: number;
  /** Words of {@linkcode LONG} pieces or more: a model hardly knows what such a word means. */
  long: number;
}

/** The counts of a text. */
export interface VocabularyFit extends WordFit {
  /** Words that became `[UNK]`; they are in no script. */
  unknown: number;
  /** By the script that a word begins in, the most frequent first. */
  scripts: (WordFit & { script: string })[];
}

/** Pieces from which on a word counts as cut to bits. */
export const LONG = 4;

/** Counts the words of a shard. */
export function vocabularyFit(shard: Shard, tokenizer: Tokenizer): VocabularyFit {
  const names: string[] = [];
  const scripts = Int32Array.from({ length: tokenizer.size }, (_, id) => {
    if (!tokenizer.startsWord(id)) return CONTINUES;
    if (id === tokenizer.special.unk) return UNKNOWN;
    const name = scriptOf(Array.from(tokenizer.decode([id]).trim() || tokenizer.tokenOf(id))[0]);
    return names.includes(name) ? names.indexOf(name) : names.push(name) - 1;
  });
  const found = names.map((script) => ({ script, words: 0, tokens: 0, long: 0 }));
  let unknown = 0, script = UNKNOWN, pieces = 0;
  const end = () => {
    if (script === UNKNOWN) return;
    found[script].words++;
    found[script].tokens += pieces;
    if (pieces >= LONG) found[script].long++;
  };
  for (const { firstToken, sentences } of shard.blocks()) {
    const ids = shard.buffer(sentences.reduce((sum, sentence) => sum + sentenceLength(sentence), 0));
    shard.readIds(firstToken, ids);
    for (const id of ids) {
      if (scripts[id] === CONTINUES) {
        pieces++;
        continue;
      }
      end();
      [script, pieces] = [scripts[id], 1];
      if (script === UNKNOWN) unknown++;
    }
    end(); // a block ends with a sentence
    script = UNKNOWN;
  }
  const sum = (field: keyof WordFit) => found.reduce((total, counts) => total + counts[field], unknown);
  return {
    words: sum("words"),
    tokens: sum("tokens"),
    long: sum("long") - unknown,
    unknown,
    scripts: found.filter(({ words }) => words > 0).sort((a, b) => b.words - a.words || (a.script < b.script ? -1 : 1)),
  };
}

/** In the place of a script: the token goes on with a word, or is `[UNK]`. */
const CONTINUES = -1, UNKNOWN = -2;
