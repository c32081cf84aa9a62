/** More tokens for WordPiece. Used by `extension.ts`. */

import { ClozeError } from "../../config/cloze_error.ts";
import type { Extender, Extension } from "../extender.ts";
import type { ExtensionOptions } from "../extension_options.ts";
import { CHARACTER_PIECES, learnMerges } from "../merging/merges.ts";
import { IdBuffer } from "../id_buffer.ts";
import type { WordPieceTokenizer } from "./tokenizer.ts";
import { codePointAt, widthOf } from "../utf8.ts";
import type { WordCounts } from "../word_counter.ts";
import { bertWords, type WordSource } from "../word_source.ts";

/** Extends WordPiece tokenizers. */
export class WordPieceExtender implements Extender {
  readonly words: WordSource;
  readonly #tokenizer: WordPieceTokenizer;

  constructor(tokenizer: WordPieceTokenizer) {
    this.words = bertWords(tokenizer.normalizer, tokenizer.added_tokens);
    this.#tokenizer = tokenizer;
  }

  learn(words: WordCounts, options: ExtensionOptions): Extension {
    return this.#extended(learnExtension(this.#tokenizer, words, options));
  }

  named(tokens: readonly string[], placeOf: (index: number) => string): Extension {
    const tokenizer = this.#tokenizer;
    tokens.forEach((token, i) => {
      if (tokenizer.idOf(token) !== undefined) return;
      const plain = token.replace(/^##/, ""), words = tokenizer.words(plain);
      if (words.length === 1 && words[0] === plain) return;
      throw new ClozeError("input", `${placeOf(i)}: no text gives the token ${JSON.stringify(token)}`, {
        hint: words.length === 0 ? undefined : `the tokenizer makes of it: ${words.join(" ")}`,
      });
    });
    return this.#extended([...new Set(tokens.filter((token) => tokenizer.idOf(token) === undefined))]);
  }

  #extended(tokens: readonly string[]): Extension {
    const tokenizer = this.#tokenizer;
    return { tokenizer: tokenizer.extended(tokens), pieces: tokens.map((token) => tokenizer.piecesOf(token)) };
  }
}

/**
 * At most `add` new tokens: characters that make `[UNK]` of a word, the most frequent first, then merges of its
 * pieces as the words are cut into them. A pure function of the counted words.
 */
export function learnExtension(tokenizer: WordPieceTokenizer, words: WordCounts, options: ExtensionOptions): string[] {
  const tokens = [...tokenizer.vocabulary];
  const vocab_size = tokens.length + options.add;
  tokens.push(...unknownCharacters(tokenizer, words, options.min_frequency).slice(0, options.add));
  const larger = tokenizer.extended(tokens.slice(tokenizer.size));
  const ids = new IdBuffer();
  learnMerges(tokens, {
    words,
    pieces: CHARACTER_PIECES,
    vocab_size,
    min_frequency: options.min_frequency,
    onProgress: () => {},
    cut: (bytes, start, end, out) => {
      ids.truncate(0);
      larger.encodeWord(bytes, start, end, ids);
      if (ids.view()[0] === larger.special.unk) return 0;
      out.set(ids.view());
      return ids.length;
    },
  });
  return tokens.slice(tokenizer.size);
}

/** Characters as tokens, with `##` where they stand inside words, that the vocabulary lacks, of words that are `[UNK]`. */
function unknownCharacters(tokenizer: WordPieceTokenizer, words: WordCounts, min_frequency: number): string[] {
  const { bytes, ends, counts } = words;
  const missing = new Map<string, number>();
  const ids = new IdBuffer();
  for (let word = 0, start = 0; word < ends.length; start = ends[word++]) {
    ids.truncate(0);
    tokenizer.encodeWord(bytes, start, ends[word], ids);
    if (ids.at(0) !== tokenizer.special.unk) continue;
    for (let i = start; i < ends[word]; i += widthOf(bytes[i])) {
      const character = String.fromCodePoint(codePointAt(bytes, i));
      const token = i === start ? character : `##${character}`;
      if (tokenizer.idOf(token) === undefined) missing.set(token, (missing.get(token) ?? 0) + counts[word]);
    }
  }
  const frequent = [...missing].filter(([, count]) => count >= min_frequency);
  return frequent.sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([token]) => token);
}
