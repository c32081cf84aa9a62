/** A word → pieces by greedy longest match (Wu et al., 2016; google-research/bert's WordpieceTokenizer). */

/** Words whose pieces are remembered: text repeats most of its words. */
const CACHE = 1 << 17;
/** Longer words are not remembered. */
const LONGEST_CACHED = 32;

/** A vocabulary, ready for matching. */
export class WordPiece {
  readonly #initial = new Map<string, number>();
  readonly #continuing = new Map<string, number>();
  readonly #unk: number;
  readonly #maxChars: number;
  readonly #longest: number;
  #cache = new Map<string, Int32Array>();

  /** `continuing` marks pieces inside a word: `##`. */
  constructor(vocabulary: readonly string[], unk: number, maxChars: number, continuing: string) {
    this.#unk = unk;
    this.#maxChars = maxChars;
    let longest = 1;
    vocabulary.forEach((token, id) => {
      this.#initial.set(token, id);
      if (token.startsWith(continuing)) this.#continuing.set(token.slice(continuing.length), id);
      longest = Math.max(longest, token.length);
    });
    this.#longest = longest;
  }

  /** Ids of the word's pieces, or `[UNK]` alone if any part of it matches nothing. Not to be changed: it is cached. */
  ids(word: string): Int32Array {
    const known = this.#cache.get(word);
    if (known !== undefined) return known;
    const found = Int32Array.from(this.pieces(word), (piece) => piece.id);
    if (word.length <= LONGEST_CACHED) {
      if (this.#cache.size >= CACHE) this.#cache = new Map();
      this.#cache.set(word, found);
    }
    return found;
  }

  /** The pieces with their ranges in the word, in UTF-16 units. */
  pieces(word: string): { id: number; start: number; end: number }[] {
    const unknown = [{ id: this.#unk, start: 0, end: word.length }];
    if (word.length > this.#maxChars && Array.from(word).length > this.#maxChars) return unknown;
    const pieces = [];
    for (let start = 0; start < word.length;) {
      const vocabulary = start === 0 ? this.#initial : this.#continuing;
      let end = Math.min(word.length, start + this.#longest);
      let id: number | undefined;
      for (; end > start; end--) {
        if (isInsidePair(word, end)) continue;
        id = vocabulary.get(start === 0 && end === word.length ? word : word.slice(start, end));
        if (id !== undefined) break;
      }
      if (id === undefined) return unknown;
      pieces.push({ id, start, end });
      start = end;
    }
    return pieces;
  }
}

/** Whether cutting at `index` would cut a surrogate pair. */
function isInsidePair(word: string, index: number): boolean {
  const code = word.charCodeAt(index);
  return code >= 0xDC00 && code < 0xE000 && index < word.length;
}
