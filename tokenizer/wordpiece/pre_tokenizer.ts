/**
 * Text → words: Hugging Face's `BertNormalizer` and `BertPreTokenizer` (google-research/bert's BasicTokenizer), with
 * Unicode composition (NFC) before them where asked for, or another way to cut words. Knows no vocabulary. Used by the
 * tokenizer and by the vocabulary trainer, so that both see the same words.
 */

import { type AlignedText, sliced } from "../aligned_text.ts";
import {
  ALL_ASCII,
  CHARACTERS,
  type Compat,
  CONTROL,
  CONTROL_SPACE,
  IDEOGRAPH,
  PUNCTUATION,
  SPACE,
} from "./characters.ts";

/**
 * What a word is: what white space and punctuation leave (`bert`), what white space leaves (`whitespace`), or each
 * character but white space (`characters`), for letters that stand for something, as those of proteins do.
 */
export const PRE_TOKENIZERS = ["bert", "whitespace", "characters"] as const;

/** One of {@linkcode PRE_TOKENIZERS}. */
export type PreTokenizerName = typeof PRE_TOKENIZERS[number];

/** How tokenizer.json says what a word is. */
export const PRE_TOKENIZER_JSON: Record<PreTokenizerName, object> = {
  bert: { type: "BertPreTokenizer" },
  whitespace: { type: "WhitespaceSplit" },
  characters: {
    type: "Sequence",
    pretokenizers: [
      { type: "WhitespaceSplit" },
      { type: "Split", pattern: { Regex: "." }, behavior: "Isolated", invert: false },
    ],
  },
};

/** How text becomes words: Hugging Face's options of `BertNormalizer`, and three of our own. */
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
  /** Whose rules: Hugging Face's, or where they differ those of Google's tokenization.py. */
  compat: Compat;
  /** What a word is. */
  pre_tokenizer: PreTokenizerName;
}

/** The key of `tokenizer_config.json` that says whose rules a tokenizer follows; other programs pass over it. */
export const COMPAT_KEY = "cloze_compat";

/** Safe for Korean and every other script: nothing is lost but white space and control characters. */
export const DEFAULT_NORMALIZER: NormalizerOptions = {
  lowercase: false,
  strip_accents: null,
  clean_text: true,
  handle_chinese_chars: true,
  nfc: true,
  compat: "huggingface",
  pre_tokenizer: "bert",
};

let finalSigmaMade: RegExp | undefined;

/**
 * A capital sigma at the end of a word, which Python's `str.lower` makes another small letter of. It is made when a text has
 * a sigma: its sets take long to build.
 */
function finalSigma(): RegExp {
  const cased = String.raw`[\p{Cased}--\p{Case_Ignorable}]`;
  // What `str.lower` passes over, and what Google's code has dropped before.
  const passedOver = String.raw`[[\p{Case_Ignorable}\p{Cf}\p{Cc}\uFFFD]--[\t\n\r]]*`;
  return finalSigmaMade ??= new RegExp(`(?<=${cased}${passedOver})\u03A3(?!${passedOver}${cased})`, "gv");
}

/** A normalized character and where it stood. */
interface Piece {
  text: string;
  start: number;
  end: number;
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
  words(text: string): AlignedText[] {
    return this.split(this.normalize(text));
  }

  /** What `BertNormalizer` makes of a text, with NFC before it where asked for. */
  normalize(text: string): AlignedText {
    const { clean_text, handle_chinese_chars, compat } = this.options;
    const normalized: AlignedText = { text: "", starts: [], ends: [] };
    for (const piece of this.#pieces(this.withFinalSigmas(text))) {
      const kind = CHARACTERS[compat].classOf(piece.text.codePointAt(0)!);
      if (clean_text && kind === SPACE) piece.text = " ";
      if (handle_chinese_chars && kind === IDEOGRAPH) piece.text = ` ${piece.text} `;
      normalized.text += piece.text;
      for (let i = 0; i < piece.text.length; i++) {
        normalized.starts.push(piece.start);
        normalized.ends.push(piece.end);
      }
    }
    return normalized;
  }

  /** What the pre-tokenizer makes of a normalized text, or of its part from `from` to `to`. */
  split(normalized: AlignedText, from = 0, to = normalized.text.length): AlignedText[] {
    const { text } = normalized;
    const words: AlignedText[] = [];
    const { compat, pre_tokenizer } = this.options;
    const add = (from: number, to: number) => {
      if (to > from) words.push(sliced(normalized, from, to));
    };
    let start = from;
    for (let i = from; i < to;) {
      const code = text.codePointAt(i)!, next = i + (code < 0x10000 ? 1 : 2);
      const kind = CHARACTERS[compat].classOf(code);
      const separates = kind === SPACE || kind === CONTROL_SPACE;
      if (separates || pre_tokenizer === "characters" || (kind === PUNCTUATION && pre_tokenizer === "bert")) {
        add(start, i);
        if (!separates) add(i, next);
        start = next;
      }
      i = next;
    }
    add(start, to);
    return words;
  }

  /**
   * Normalized characters with the source range that each came from. Marks that are no accents are put in canonical
   * order where accents are stripped: that decomposes the text.
   */
  *#pieces(text: string): Generator<Piece> {
    const { clean_text, compat } = this.options;
    const characters = CHARACTERS[compat];
    const marks: Piece[] = [];
    for (const { text: character, start, end } of this.#composed(text)) {
      if (clean_text && isControl(characters.classOf(character.codePointAt(0)!))) continue;
      const folded = this.fold(character);
      if (folded === "" && !characters.hasCombiningClass(character)) yield* marks.splice(0);
      for (const part of folded) {
        const piece = { text: part, start, end };
        if (this.isSorted(part)) {
          let at = marks.length;
          while (at > 0 && (marks[at - 1].text + part).normalize("NFD") !== marks[at - 1].text + part) at--;
          marks.splice(at, 0, piece);
        } else {
          yield* marks.splice(0);
          yield piece;
        }
      }
    }
    yield* marks;
  }

  /** Characters with their source range, composed where that is asked for. */
  *#composed(text: string): Generator<Piece> {
    // What can compose with its neighbours goes together: a starter with its marks, a run of Jamo.
    const isSplit = !this.options.nfc || ALL_ASCII.test(text);
    const unit = isSplit ? /./gsu : /[\uAC00-\uD7A3]?[\u1100-\u11FF]+\p{M}*|[^\p{M}]\p{M}*|\p{M}+/gsu;
    for (const match of text.matchAll(unit)) {
      const composed = this.options.nfc ? this.compose(match[0]) : match[0];
      let at = match.index;
      // Where composing changed nothing, each character keeps its own range.
      const whole = composed === match[0] ? undefined : { start: at, end: at + match[0].length };
      for (const character of composed) {
        const range = whole ?? { start: at, end: at + character.length };
        at += character.length;
        yield { text: character, ...range };
      }
    }
  }

  /** Whether a folded character's place depends on the marks beside it. */
  isSorted(character: string): boolean {
    return this.#stripAccents && !ALL_ASCII.test(character) && /\p{M}/u.test(character) &&
      CHARACTERS[this.options.compat].hasCombiningClass(character);
  }

  /** Whether `withFinalSigmas` may change anything but for a sigma. */
  get hasFinalSigmas(): boolean {
    return this.options.lowercase && this.options.compat === "google";
  }

  /** The text with the one small letter that depends on its neighbours, where Google's rules apply; of the same length. */
  withFinalSigmas(text: string): string {
    return this.hasFinalSigmas && text.includes("\u03A3") ? text.replace(finalSigma(), "\u03C2") : text;
  }

  /** The text composed (Unicode NFC). */
  compose(text: string): string {
    return CHARACTERS[this.options.compat].compose(text);
  }

  /** Strips accents and lowercases one character (so no final sigma, as in Hugging Face). */
  fold(character: string): string {
    const { lowercase, compat } = this.options;
    return CHARACTERS[compat].fold(character, lowercase, this.#stripAccents);
  }
}

function isControl(kind: number): boolean {
  return kind === CONTROL || kind === CONTROL_SPACE;
}
