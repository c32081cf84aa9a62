/**
 * GPT-2's way to cut text into words, `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`, and that
 * of newer models, over UTF-8 in one pass without a regular expression. Used by byte-level BPE.
 */

import type { WordSink } from "../text_scanner.ts";
import { EMPTY_HASH, nextHash } from "../word_table.ts";

/** What the expressions call `\p{L}`, `\p{N}`, `\s` and the rest. */
const LETTER = 1, NUMBER = 2, SPACE = 3, OTHER = 4;
/** No character: behind the end. */
const END = 0;

const BASIC = new Uint8Array(0x10000);
const ASTRAL = new Map<number, number>();

function classify(code: number): number {
  const character = String.fromCodePoint(code);
  return /\p{L}/u.test(character)
    ? LETTER
    : /\p{N}/u.test(character)
    ? NUMBER
    : /\p{White_Space}/u.test(character)
    ? SPACE
    : OTHER;
}

function classOf(code: number): number {
  if (code < 0x10000) return BASIC[code] ||= classify(code);
  let found = ASTRAL.get(code);
  if (found === undefined) ASTRAL.set(code, found = classify(code));
  return found;
}

/** Which of the ways: GPT-2's, or the one of cl100k, Llama 3 and Qwen, with as many digits in a word at most. */
export type Pattern = "gpt2" | { digits: number };

const APOSTROPHE = 0x27, BLANK = 0x20, RETURN = 13, NEWLINE = 10;

/** Cuts text as one of the patterns does. Scans one text at a time. */
export class Gpt2Scanner {
  readonly #digits: number;
  readonly #isNewer: boolean;
  // The text, and the character at hand.
  #bytes: Uint8Array = new Uint8Array();
  #to = 0;
  #at = 0;
  #code = 0;
  #width = 0;
  #class = END;
  /** Of the word so far. */
  #hash = EMPTY_HASH;

  constructor(pattern: Pattern) {
    this.#isNewer = pattern !== "gpt2";
    this.#digits = pattern === "gpt2" ? Infinity : pattern.digits;
  }

  /** Hands the words of `bytes[from..to)` to the sink. */
  scan(bytes: Uint8Array, from: number, to: number, sink: WordSink): void {
    this.#bytes = bytes;
    this.#to = to;
    this.#go(from);
    while (this.#class !== END) {
      const start = this.#at;
      this.#hash = EMPTY_HASH;
      if (this.#isNewer) this.#newerWord();
      else this.#word();
      sink.word(bytes, start, this.#at, this.#hash);
    }
  }

  /** Looks at the character at a place. */
  #go(at: number): void {
    this.#at = at;
    if (at >= this.#to) {
      this.#class = END;
      this.#width = 0;
      return;
    }
    const bytes = this.#bytes, byte = bytes[at];
    let code = byte, width = 1;
    if (byte >= 0x80) {
      if (byte < 0xE0) {
        code = (byte & 31) << 6 | bytes[at + 1] & 63;
        width = 2;
      } else if (byte < 0xF0) {
        code = (byte & 15) << 12 | (bytes[at + 1] & 63) << 6 | bytes[at + 2] & 63;
        width = 3;
      } else {
        code = (byte & 7) << 18 | (bytes[at + 1] & 63) << 12 | (bytes[at + 2] & 63) << 6 | bytes[at + 3] & 63;
        width = 4;
      }
    }
    this.#code = code;
    this.#width = width;
    this.#class = (code < 0x10000 ? BASIC[code] : 0) || classOf(code);
  }

  /** Takes the character into the word. */
  #take(): void {
    this.#hash = nextHash(this.#hash, this.#code);
    this.#go(this.#at + this.#width);
  }

  /** Takes characters of a class, at most so many. */
  #run(kind: number, most = Infinity): void {
    const bytes = this.#bytes, to = this.#to;
    let at = this.#at, hash = this.#hash;
    for (let taken = 0; this.#class === kind && taken < most; taken++) {
      hash = nextHash(hash, this.#code);
      at += this.#width;
      // ASCII and the rest of the basic plane without a call.
      if (at < to && bytes[at] < 0x80) {
        this.#code = bytes[at];
        this.#width = 1;
        this.#class = BASIC[this.#code] || classOf(this.#code);
      } else this.#go(at);
    }
    this.#at = at;
    this.#hash = hash;
  }

  /** One word of GPT-2's. */
  #word(): void {
    if (this.#code === APOSTROPHE && this.#contraction(false)) return;
    if (this.#code === BLANK) {
      this.#take();
      if (this.#class !== END && this.#class !== SPACE) return this.#run(this.#class);
      return this.#spaces(this.#at - 1);
    }
    if (this.#class === SPACE) return this.#spaces(this.#at);
    this.#run(this.#class);
  }

  /** One word of the newer pattern. */
  #newerWord(): void {
    if (this.#code === APOSTROPHE && this.#contraction(true)) return;
    const start = this.#at, kind = this.#class;
    if (kind === LETTER) return this.#run(LETTER);
    if (kind === NUMBER) return this.#run(NUMBER, this.#digits);
    const isBreak = this.#code === RETURN || this.#code === NEWLINE, isBlank = this.#code === BLANK;
    this.#take();
    if (!isBreak && this.#is(LETTER)) return this.#run(LETTER);
    if (kind === OTHER || (isBlank && this.#is(OTHER))) {
      this.#run(OTHER);
      while (this.#class === SPACE && (this.#code === RETURN || this.#code === NEWLINE)) this.#take();
      return;
    }
    this.#spaces(start);
  }

  #is(kind: number): boolean {
    return this.#class === kind;
  }

  /** Takes 's, 't, 're, 've, 'm, 'll or 'd, in any case where the pattern says so. Returns whether one is there. */
  #contraction(anyCase: boolean): boolean {
    const bytes = this.#bytes, left = this.#to - this.#at;
    const letter = (i: number) => {
      if (i >= left) return 0;
      const byte = bytes[this.#at + i];
      return anyCase && byte >= 0x41 && byte <= 0x5A ? byte + 32 : byte;
    };
    const first = letter(1), second = letter(2);
    let length = 0;
    if (first === 0x73 || first === 0x74 || first === 0x6D || first === 0x64) length = 2;
    else if ((first === 0x72 || first === 0x76) && second === 0x65) length = 3;
    else if (first === 0x6C && second === 0x6C) length = 3;
    // ſ, U+017F, is an s in any case.
    const isLong = anyCase && first === 0xC5 && second === 0xBF;
    if (isLong) length = 2;
    for (let i = 0; i < length; i++) this.#take();
    return length > 0;
  }

  /** White space from `start` on, of which the last goes to the next word; of the newer pattern, up to its last line end. */
  #spaces(start: number): void {
    let last = start, lastHash = EMPTY_HASH, breaks = -1, breaksHash = EMPTY_HASH;
    this.#hash = EMPTY_HASH;
    this.#go(start);
    while (this.#class === SPACE) {
      last = this.#at;
      lastHash = this.#hash;
      const isBreak = this.#code === RETURN || this.#code === NEWLINE;
      this.#take();
      if (isBreak) {
        breaks = this.#at;
        breaksHash = this.#hash;
      }
    }
    if (this.#isNewer && breaks >= 0) {
      this.#hash = breaksHash;
      this.#go(breaks);
    } else if (this.#class !== END && last > start) {
      this.#hash = lastHash;
      this.#go(last);
    }
  }
}
