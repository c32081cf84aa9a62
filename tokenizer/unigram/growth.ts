/**
 * More pieces for a unigram language model. A new piece scores a little more than the best way to write it before, for each of
 * its characters: so it is the best way to write itself, whichever other new pieces there are, and changes little else. Used by
 * the registry of models.
 */

import { ClozeError } from "../../config/cloze_error.ts";
import { IdBuffer } from "../id_buffer.ts";
import { learnMerges, type PieceKind } from "../merging/merges.ts";
import type { Growth, GrowthContext } from "../pipeline/model_kind.ts";
import { codePointAt, codePoints, widthOf } from "../utf8.ts";
import type { WordCounts } from "../word_counter.ts";
import { type UnigramData, UnigramModel } from "./model.ts";

/** Nats for each character behind the first: more than sums of scores are rounded by, and less than they differ by. */
const MARGIN = 1e-3;
/** Digits of a score: so few that every program reads the same number. */
const DIGITS = 8;

const PIECES: PieceKind = {
  join: (left, right) => left + right,
  lengthOf: (token) => Array.from(token).length,
  all: (bytes) => codePoints(bytes, 0, bytes.length),
};

const encoder = new TextEncoder();

/** @throws {ClozeError} `input` if the model can have no more pieces. */
export function growUnigram(context: GrowthContext, data: UnigramData): Growth<UnigramData> {
  const { vocabulary, own, outside, taken } = context;
  if (outside.length > 0) {
    throw new ClozeError("input", `its added token ${JSON.stringify(outside[0])} would become a piece of words`, {
      hint: "extend the model's vocabulary before tokens are added to it",
    });
  }
  const scores = Array.from(data.scores);
  const modelOf = (tokens: readonly string[]) => new UnigramModel(tokens, scores, data.unk_id, data.byte_fallback, own);
  const before = modelOf(vocabulary);
  const pieces = (token: string) => {
    const ids = new IdBuffer(), bytes = encoder.encode(token);
    before.match(bytes, 0, bytes.length, ids);
    return ids.view().slice();
  };
  /** @param base which scores the tokens from `from` on. */
  const grown = (tokens: readonly string[], from: number, base: UnigramModel) => {
    for (const token of tokens.slice(from)) {
      const bytes = encoder.encode(token), characters = PIECES.lengthOf(token);
      scores.push(Number((base.scoreOf(bytes, 0, bytes.length) + MARGIN * (characters - 1)).toFixed(DIGITS)));
    }
    const all = tokens.slice(vocabulary.length);
    return { tokens: all, data: { ...data, scores: Float64Array.from(scores) }, pieces: all.map(pieces) };
  };
  return {
    learn(words, { add, min_frequency }) {
      const tokens = [...vocabulary];
      tokens.push(...unknownCharacters(context, words, min_frequency).slice(0, add));
      const from = tokens.length, least = leastOf(context, scores);
      while (scores.length < from) scores.push(least);
      const base = modelOf(tokens), ids = new IdBuffer();
      learnMerges(tokens, {
        words,
        pieces: PIECES,
        vocab_size: vocabulary.length + add,
        min_frequency,
        onProgress: () => {},
        isTaken: (token) => taken.has(token),
        cut: (bytes, start, end, out) => {
          ids.truncate(0);
          base.match(bytes, start, end, ids);
          // One that is unknown, or bytes of one: the others of the word are not all beside each other.
          const known = ids.view().reduce((sum, id) => sum + PIECES.lengthOf(tokens[id]), 0);
          if (known !== codePoints(bytes, start, end) || ids.view().includes(context.unk)) return 0;
          out.set(ids.view());
          return ids.length;
        },
      });
      return grown(tokens, from, base);
    },
    named(texts) {
      const known = new Set(vocabulary);
      return grown([...vocabulary, ...new Set(texts.filter((text) => !known.has(text)))], vocabulary.length, before);
    },
  };
}

/** The score of the unlikeliest piece of words: what characters get that were unknown. */
function leastOf({ vocabulary, taken, unk }: GrowthContext, scores: readonly number[]): number {
  let least = 0;
  vocabulary.forEach((token, id) => {
    if (id !== unk && !taken.has(token) && scores[id] < least) least = scores[id];
  });
  return least;
}

/** Characters without a piece, the most frequent first. */
function unknownCharacters(context: GrowthContext, words: WordCounts, min_frequency: number): string[] {
  const { bytes, ends, counts } = words, known = new Set(context.vocabulary);
  const missing = new Map<string, number>();
  for (let word = 0, start = 0; word < ends.length; start = ends[word++]) {
    for (let i = start; i < ends[word]; i += widthOf(bytes[i])) {
      const character = String.fromCodePoint(codePointAt(bytes, i));
      if (!known.has(character)) missing.set(character, (missing.get(character) ?? 0) + counts[word]);
    }
  }
  const frequent = [...missing].filter(([, count]) => count >= min_frequency);
  return frequent.sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([character]) => character);
}
