/**
 * Text → words: Hugging Face's `BertNormalizer` and `BertPreTokenizer` (google-research/bert's BasicTokenizer), with
 * Unicode composition (NFC) before them where asked for. Knows no vocabulary. Used by the tokenizer and by the
 * vocabulary trainer, so that both see the same words.
 */

import {
  characterClass,
  CONTROL,
  CONTROL_SPACE,
  IDEOGRAPH,
  lowercased,
  PUNCTUATION,
  SPACE,
  withoutAccents,
} from "./characters.ts";

/** Hugging Face's options of `BertNormalizer`, and `nfc`. */
export interface NormalizerOptions {
  /** Lowercase every character. */
  lowercase: boolean;
  /** Decompose and drop nonspacing marks; `null` does as `lowercase` says. It takes Hangul apart into Jamo. */
  strip_accents: boolean | null;
  /** Drop control characters and make every white space a space. */
  clean_text: boolean;
  /** Make every CJK ideograph a word. */
  handle_chinese_chars: boolean;
  /** Compose first (Unicode NFC), so that decomposed Korean is the same as composed. */
  nfc: boolean;
}

/** Safe for Korean and every other script: nothing is lost but white space and control characters. */
export const DEFAULT_NORMALIZER: NormalizerOptions = {
  lowercase: false,
  strip_accents: null,
  clean_text: true,
  handle_chinese_chars: true,
  nfc: true,
};

/** A word and where it stood: UTF-16 offsets into the text, end exclusive. */
export interface Word {
  text: string;
  /** Source range of each UTF-16 unit of `text`. */
  starts: number[];
  ends: number[];
}

/** Splits text into words. */
export class PreTokenizer {
  readonly options: NormalizerOptions;
  readonly #stripAccents: boolean;

  constructor(options: NormalizerOptions) {
    this.options = options;
    this.#stripAccents = options.strip_accents ?? options.lowercase;
  }

  /** The words with their offsets, for people and tests. Gives the same words as `WordScanner`. */
  words(text: string): Word[] {
    const words: Word[] = [];
    let word: Word | undefined;
    const { clean_text, handle_chinese_chars } = this.options;
    for (const piece of this.#pieces(text)) {
      const kind = characterClass(piece.text.codePointAt(0)!);
      if (isControl(kind) && clean_text) continue;
      if (kind === SPACE || kind === CONTROL_SPACE) {
        word = undefined;
        continue;
      }
      const alone = kind === PUNCTUATION || (kind === IDEOGRAPH && handle_chinese_chars);
      if (alone || word === undefined) words.push(word = { text: "", starts: [], ends: [] });
      word.text += piece.text;
      for (let i = 0; i < piece.text.length; i++) {
        word.starts.push(piece.start);
        word.ends.push(piece.end);
      }
      if (alone) word = undefined;
    }
    return words;
  }

  /** Normalized characters with the source range that each came from. */
  *#pieces(text: string): Generator<{ text: string; start: number; end: number }> {
    // What can compose with its neighbours goes together: a starter with its marks, a run of Jamo.
    const unit = this.options.nfc ? /[\uAC00-\uD7A3]?[\u1100-\u11FF]+\p{M}*|[^\p{M}]\p{M}*|\p{M}+/gsu : /./gsu;
    for (const match of text.matchAll(unit)) {
      const composed = this.options.nfc ? match[0].normalize("NFC") : match[0];
      let at = match.index;
      // Where composing changed nothing, each character keeps its own range.
      const whole = composed === match[0] ? undefined : { start: at, end: at + match[0].length };
      for (const character of composed) {
        const range = whole ?? { start: at, end: at + character.length };
        at += character.length;
        for (const folded of this.fold(character)) yield { text: folded, ...range };
      }
    }
  }

  /** Strips accents and lowercases, character by character (so no final sigma, as in Hugging Face). */
  fold(text: string): string {
    if (!/[^\0-\x7F]/.test(text)) return this.options.lowercase ? text.toLowerCase() : text;
    let out = "";
    for (const character of text) {
      let folded = this.#stripAccents ? withoutAccents(character) : character;
      if (this.options.lowercase) folded = Array.from(folded, lowercased).join("");
      out += folded;
    }
    return out;
  }
}

function isControl(kind: number): boolean {
  return kind === CONTROL || kind === CONTROL_SPACE;
}
