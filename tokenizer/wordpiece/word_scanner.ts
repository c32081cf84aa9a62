/**
 * UTF-8 text → words, the hot path: what `BertNormalizer` and the pre-tokenizer do (and NFC before them where asked for), in
 * one pass over the bytes, without a string for anything. Gives the same words as `PreTokenizer.words`, which also
 * tells where they stood; tests hold the two together. Used by the tokenizer and by the word counter.
 */

import { CHARACTERS, CONTROL, CONTROL_SPACE, IDEOGRAPH, PUNCTUATION, SPACE } from "./characters.ts";
import { type NormalizerOptions, PreTokenizer } from "./pre_tokenizer.ts";
import type { WordSink } from "../text_scanner.ts";
import { codePointAt, widthOf } from "../utf8.ts";
import { EMPTY_HASH, grown, nextHash } from "../word_table.ts";

// What to do with a code point under the scanner's options; 0 is "not looked up yet".
const KEEP = 1;
const SEPARATE = 2;
const ALONE = 3;
const DROP = 4;
/** Becomes other code points, found in `#folds`. */
const FOLD = 5;
const FOLD_ALONE = 6;
/** May compose with its neighbours, so that they have to be normalized together. */
const COMPOSE = 7;
/** A mark that is kept where accents are stripped: its place depends on other marks. */
const SORT = 8;

/** Code points of combining class 0 that follow others in a composition and are no spacing marks (Unicode 17). */
const COMPOSES =
  /[\u0B56\u102E\u1161-\u1175\u11A8-\u11C2\u{11127}\u{113BB}\u{114BA}\u{1611E}-\u{16120}\u{16129}\u{16D67}]/u;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Splits UTF-8 text into words. */
export class WordScanner {
  readonly #preTokenizer: PreTokenizer;
  readonly #basic = new Uint8Array(0x10000);
  readonly #astral = new Map<number, number>();
  /** UTF-8 of what a code point becomes. */
  readonly #folds = new Map<number, Uint8Array>();
  /** The word in progress, where it is not the bytes of the text. */
  #word = new Uint8Array(256);
  /** The same without NFC, for text that is composed already. */
  readonly #composed: WordScanner | undefined;

  constructor(options: NormalizerOptions) {
    this.#preTokenizer = new PreTokenizer(options);
    if (options.nfc) this.#composed = new WordScanner({ ...options, nfc: false });
  }

  /** Hands the words of `bytes[from..to)`, which is whole UTF-8, to the sink. */
  scan(bytes: Uint8Array, from: number, to: number, sink: WordSink): void {
    if (this.#preTokenizer.hasFinalSigmas && hasSigma(bytes, from, to)) {
      bytes = encoder.encode(this.#preTokenizer.withFinalSigmas(decoder.decode(bytes.slice(from, to))));
      [from, to] = [0, bytes.length];
    }
    const basic = this.#basic;
    let start = from, hash = EMPTY_HASH;
    for (let i = from; i < to;) {
      let code = bytes[i], width = 1;
      if (code >= 0x80) {
        if (code < 0xE0) {
          code = (code & 31) << 6 | bytes[i + 1] & 63;
          width = 2;
        } else if (code < 0xF0) {
          code = (code & 15) << 12 | (bytes[i + 1] & 63) << 6 | bytes[i + 2] & 63;
          width = 3;
        } else {
          code = (code & 7) << 18 | (bytes[i + 1] & 63) << 12 | (bytes[i + 2] & 63) << 6 | bytes[i + 3] & 63;
          width = 4;
        }
      }
      let action = code < 0x10000 ? basic[code] : 0;
      if (action === 0) action = this.#action(code);
      if (action === KEEP) {
        hash = nextHash(hash, code);
        i += width;
        continue;
      }
      if (action === SEPARATE) {
        if (i > start) sink.word(bytes, start, i, hash);
        i += width;
      } else if (action === SORT) {
        i = this.#sort(bytes, start, to, sink);
      } else if (action === COMPOSE || (action !== FOLD && action !== DROP && this.#composesAt(bytes, i + width, to))) {
        i = this.#compose(bytes, start, to, sink);
      } else if (action === ALONE || action === FOLD_ALONE) {
        if (i > start) sink.word(bytes, start, i, hash);
        if (action === ALONE) sink.word(bytes, i, i + width, nextHash(EMPTY_HASH, code));
        else this.#foldAlone(code, sink);
        i += width;
      } else {
        i = this.#rewrite(bytes, start, i, to, hash, sink);
      }
      start = i;
      hash = EMPTY_HASH;
    }
    if (to > start) sink.word(bytes, start, to, hash);
  }

  /**
   * Goes on with the word `bytes[start..i)` in a buffer of its own, because the code point at `i` is not kept as it is.
   * Returns where the word ended.
   */
  #rewrite(bytes: Uint8Array, start: number, i: number, to: number, hash: number, sink: WordSink): number {
    let word = this.#word, length = i - start;
    if (length > word.length) word = this.#word = grown(word, length);
    for (let k = 0; k < length; k++) word[k] = bytes[start + k];
    while (i < to) {
      const code = codePointAt(bytes, i), width = widthOf(bytes[i]);
      let action = code < 0x10000 ? this.#basic[code] : 0;
      if (action === 0) action = this.#action(code);
      if (
        action === COMPOSE || ((action === ALONE || action === FOLD_ALONE) && this.#composesAt(bytes, i + width, to))
      ) {
        return this.#compose(bytes, start, to, sink);
      }
      if (action === SORT) return this.#sort(bytes, start, to, sink);
      if (action === KEEP) {
        if (length + width > word.length) word = this.#word = grown(word, length + width);
        for (let k = 0; k < width; k++) word[length++] = bytes[i + k];
        hash = nextHash(hash, code);
      } else if (action === FOLD) {
        const folded = this.#folds.get(code)!;
        if (length + folded.length > word.length) word = this.#word = grown(word, length + folded.length);
        for (let k = 0; k < folded.length; k++) word[length++] = folded[k];
        for (let k = 0; k < folded.length; k += widthOf(folded[k])) hash = nextHash(hash, codePointAt(folded, k));
      } else if (action !== DROP) {
        break;
      }
      i += width;
    }
    if (length > 0) sink.word(word, 0, length, hash);
    return i;
  }

  /** Every code point that `code` becomes is a word of its own, or separates words. */
  #foldAlone(code: number, sink: WordSink): void {
    const folded = this.#folds.get(code)!;
    for (let k = 0; k < folded.length; k += widthOf(folded[k])) {
      const part = codePointAt(folded, k);
      const end = k + widthOf(folded[k]);
      if (this.#action(part) !== SEPARATE) sink.word(folded, k, end, nextHash(EMPTY_HASH, part));
    }
  }

  /** Whether the code point at `i` may compose with the one before it. */
  #composesAt(bytes: Uint8Array, i: number, to: number): boolean {
    return this.#composed !== undefined && i < to && bytes[i] >= 0x80 &&
      this.#action(codePointAt(bytes, i)) === COMPOSE;
  }

  /** Hands on the words from `start` to the next white space, in which marks are sorted. Returns where that ends. */
  #sort(bytes: Uint8Array, start: number, to: number, sink: WordSink): number {
    const end = spaceFrom(bytes, start, to);
    for (const { text } of this.#preTokenizer.words(decoder.decode(bytes.slice(start, end)))) {
      const word = encoder.encode(text);
      let hash = EMPTY_HASH;
      for (let i = 0; i < word.length; i += widthOf(word[i])) hash = nextHash(hash, codePointAt(word, i));
      sink.word(word, 0, word.length, hash);
    }
    return end;
  }

  /** Composes the text from `start` to the next white space and hands on its words. Returns where that ends. */
  #compose(bytes: Uint8Array, start: number, to: number, sink: WordSink): number {
    const end = spaceFrom(bytes, start, to);
    const composed = encoder.encode(this.#preTokenizer.compose(decoder.decode(bytes.slice(start, end))));
    this.#composed!.scan(composed, 0, composed.length, sink);
    return end;
  }

  #action(code: number): number {
    let action = code < 0x10000 ? this.#basic[code] : this.#astral.get(code);
    if (action) return action;
    action = this.#decide(code);
    if (code < 0x10000) this.#basic[code] = action;
    else this.#astral.set(code, action);
    return action;
  }

  #decide(code: number): number {
    const { clean_text, handle_chinese_chars, compat, pre_tokenizer } = this.#preTokenizer.options;
    const kind = CHARACTERS[compat].classOf(code), character = String.fromCodePoint(code);
    if (this.#composed !== undefined && composes(character)) return COMPOSE;
    if (kind === CONTROL || kind === CONTROL_SPACE) {
      if (clean_text) return DROP;
      if (kind === CONTROL_SPACE) return SEPARATE;
      return pre_tokenizer === "characters" ? ALONE : KEEP;
    }
    if (kind === SPACE) return SEPARATE;
    const folded = this.#preTokenizer.fold(character);
    const alone = pre_tokenizer === "characters" || (kind === IDEOGRAPH && handle_chinese_chars);
    const isPunctuation = (kind: number) => kind === PUNCTUATION && pre_tokenizer === "bert";
    if (Array.from(folded).some((part) => this.#preTokenizer.isSorted(part))) return SORT;
    if (folded === character) return alone || isPunctuation(kind) ? ALONE : KEEP;
    this.#folds.set(code, encoder.encode(folded));
    const words = Array.from(folded, (part) => CHARACTERS[compat].classOf(part.codePointAt(0)!));
    return alone || words.some((kind) => kind === SPACE || isPunctuation(kind)) ? FOLD_ALONE : FOLD;
  }
}

/** The next white space: nothing composes across it and no mark is moved, and it separates words under every option. */
function spaceFrom(bytes: Uint8Array, at: number, to: number): number {
  while (at < to && bytes[at] !== 32 && bytes[at] !== 10 && bytes[at] !== 9 && bytes[at] !== 13) at++;
  return at;
}

/** Whether NFC changes a character, or may change it or what is beside it. */
function composes(character: string): boolean {
  if (character.normalize("NFC") !== character || /\p{Mc}/u.test(character) || COMPOSES.test(character)) return true;
  // Marks that are sorted by their combining class: one of 1 goes before all others, one of 230 behind smaller ones.
  return (character + "\u0334").normalize("NFD") !== character.normalize("NFD") + "\u0334" ||
    ("\u0301" + character).normalize("NFD") !== "\u0301" + character.normalize("NFD");
}

/** Whether there is a capital sigma, U+03A3. */
function hasSigma(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i + 1 < to; i++) if (bytes[i] === 0xCE && bytes[i + 1] === 0xA3) return true;
  return false;
}
