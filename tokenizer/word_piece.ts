/** A word → pieces by greedy longest match (Wu et al., 2016; google-research/bert's WordpieceTokenizer). */

/** Words whose pieces are remembered: text repeats most of its words. About 80 bytes each. */
const CACHE_WORDS = 1 << 19;
/** Longer words are not remembered. */
const LONGEST_CACHED = 32;

/** A vocabulary, ready for matching. */
export class WordPiece {
  readonly #initial = new Map<string, number>();
  readonly #continuing = new Map<string, number>();
  readonly #unk: number;
  readonly #maxChars: number;
  readonly #longest: number;
  /** Word → where its ids are in the pool: start × 64 + count. One flat pool, because small arrays cost more than ids. */
  #cache = new Map<string, number>();
  #pool = new Int32Array(1 << 16);
  #used = 0;

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

  /** Appends the ids of the word's pieces, or `[UNK]` alone if any part of it matches nothing. */
  append(word: string, out: number[]): void {
    let place = this.#cache.get(word);
    if (place === undefined) {
      const pieces = this.pieces(word);
      if (word.length > LONGEST_CACHED) {
        for (const { id } of pieces) out.push(id);
        return;
      }
      this.#cache.set(word, place = this.#keep(pieces));
    }
    const start = Math.floor(place / 64);
    for (let i = start, end = start + place % 64; i < end; i++) out.push(this.#pool[i]);
  }

  #keep(pieces: readonly { id: number }[]): number {
    if (this.#cache.size >= CACHE_WORDS) {
      this.#cache = new Map();
      this.#used = 0;
    }
    if (this.#used + pieces.length > this.#pool.length) {
      const larger = new Int32Array(2 * this.#pool.length);
      larger.set(this.#pool);
      this.#pool = larger;
    }
    const start = this.#used;
    for (const { id } of pieces) this.#pool[this.#used++] = id;
    return start * 64 + pieces.length;
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
