/**
 * What kind of character a code point is to BERT's normalizer and pre-tokenizer, and what folding makes of it: as Hugging
 * Face `tokenizers` sees it, or as Google's tokenization.py does. Used by `pre_tokenizer.ts` and `word_scanner.ts`.
 */

/** Whose rules apply where the two differ. */
export type Compat = "huggingface" | "google";

/** Part of a word. */
export const LETTER = 1;
/** Separates words and goes away. */
export const SPACE = 2;
/** A word of its own. */
export const PUNCTUATION = 3;
/** Removed by `clean_text`: NUL, U+FFFD, control, format and private use characters. */
export const CONTROL = 4;
/** A control character that is white space, too: removed by `clean_text`, a separator without it. */
export const CONTROL_SPACE = 6;
/** A CJK ideograph: a word of its own with `handle_chinese_chars`. */
export const IDEOGRAPH = 5;

const SPACES = /[\t-\r \x85\xA0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000]/;
const ASCII_PUNCTUATION = /[!-/:-@[-`{-~]/;

// What follows builds no set of Unicode before a text has a character that it is for: each takes up to a millisecond, and
// the first answer of `predict` waits for it.

/** The marks of a decomposed text; Hugging Face's are two more, which the older tables call so. */
const marks = (compat: Compat) => compat === "google" ? /\p{Mn}/gu : /[\p{Mn}\u1734\u{1171E}]/gu;

const isAscii = (code: number) => code < 0x80;
/** A text of ASCII alone: it is composed, and has no marks. */
export const ALL_ASCII = /^[\0-\x7f]*$/;

/** The blocks that BERT calls Chinese (google-research/bert, tokenization.py). Hangul is not among them. */
const IDEOGRAPHS: Ranges = [
  [0x4E00, 0x9FFF],
  [0x3400, 0x4DBF],
  [0x20000, 0x2A6DF],
  [0x2A700, 0x2B73F],
  [0x2B740, 0x2B81F],
  [0x2B820, 0x2CEAF],
  [0xF900, 0xFAFF],
  [0x2F800, 0x2FA1F],
];

/** Ideographs that Hugging Face leaves out: extension E begins at 2B920 there. */
const NO_IDEOGRAPHS: Ranges = [[0x2B820, 0x2B91F]];

/** The characters under one of the two rules. */
class Characters {
  readonly #compat: Compat;
  readonly #basic = new Uint8Array(0x10000);
  readonly #astral = new Map<number, number>();

  constructor(compat: Compat) {
    this.#compat = compat;
  }

  /** The class of a code point. */
  classOf(code: number): number {
    if (code < 0x10000) return this.#basic[code] ||= this.#classify(code);
    let found = this.#astral.get(code);
    if (found === undefined) this.#astral.set(code, found = this.#classify(code));
    return found;
  }

  #classify(code: number): number {
    const character = String.fromCodePoint(code);
    if (code === 9 || code === 10 || code === 13) return SPACE;
    if (code === 0 || code === 0xFFFD) return CONTROL;
    if (this.#isControl(code, character)) return SPACES.test(character) ? CONTROL_SPACE : CONTROL;
    if (SPACES.test(character)) return SPACE;
    if (ASCII_PUNCTUATION.test(character) || this.#isPunctuation(code, character)) return PUNCTUATION;
    if (within(IDEOGRAPHS, code) && (this.#compat === "google" || !within(NO_IDEOGRAPHS, code))) return IDEOGRAPH;
    return LETTER;
  }

  #isControl(code: number, character: string): boolean {
    if (isAscii(code)) return code < 0x20 || code === 0x7F;
    if (this.#compat === "google") return /[\p{Cc}\p{Cf}]/u.test(character);
    return /[\p{Cc}\p{Cf}\p{Co}]/u.test(character) && !within(NEWER_CONTROL, code);
  }

  #isPunctuation(code: number, character: string): boolean {
    if (isAscii(code)) return false; // which has its own
    if (this.#compat === "google") return /\p{P}/u.test(character);
    if (within(OLDER_PUNCTUATION, code)) return true;
    return /\p{P}/u.test(character) && !within(NEWER_PUNCTUATION, code);
  }

  /** The text composed (Unicode NFC). */
  compose(text: string): string {
    if (ALL_ASCII.test(text)) return text;
    if (this.#compat === "google" || !newer().test(text)) return text.normalize("NFC");
    // Hugging Face composes nothing with what it does not know.
    return text.split(newer()).map((part) => newer().test(part) ? part : part.normalize("NFC")).join("");
  }

  /** The text in one of the normalization forms, in none of which Hugging Face knows what is newer. */
  normalized(text: string, form: "NFC" | "NFD" | "NFKC" | "NFKD"): string {
    if (form === "NFC") return this.compose(text);
    if (ALL_ASCII.test(text)) return text;
    const unknown = form === "NFD" ? newer() : newerCompatible();
    if (this.#compat === "google" || !unknown.test(text)) return text.normalize(form);
    return text.split(unknown).map((part) => unknown.test(part) ? part : part.normalize(form)).join("");
  }

  /** Whether it is a mark of any kind. */
  isMark(character: string): boolean {
    const code = character.codePointAt(0)!;
    return (/^\p{M}$/u.test(character) || within(OLDER_MARKS, code)) && !within(NEWER_MARKS, code);
  }

  /** Whether canonical ordering may move a mark, or has to stop at it otherwise. */
  hasCombiningClass(mark: string): boolean {
    if (this.#compat === "huggingface" && newer().test(mark)) return false;
    // One of 1 goes before all others but its own, one of 240 behind them.
    const low = "\u0334", high = "\u0345";
    return (mark + low).normalize("NFD") !== mark.normalize("NFD") + low ||
      (high + mark).normalize("NFD") !== high + mark.normalize("NFD");
  }

  /** A character in lower case, if that is asked for, and without accents: decomposed, nonspacing marks dropped. */
  fold(character: string, lowercase: boolean, stripAccents: boolean): string {
    if (ALL_ASCII.test(character)) return lowercase ? character.toLowerCase() : character;
    // Google lowercases first, Hugging Face last.
    if (lowercase && this.#compat === "google") character = character.toLowerCase();
    if (stripAccents) {
      character = Array.from(character, (part) => {
        if (this.#compat === "huggingface" && within(NEWER_ACCENTS, part.codePointAt(0)!)) return part;
        return part.normalize("NFD").replace(marks(this.#compat), "");
      }).join("");
    }
    return lowercase && this.#compat === "huggingface" ? Array.from(character, lowercased).join("") : character;
  }
}

/** The characters under each of the rules. */
export const CHARACTERS: Readonly<Record<Compat, Characters>> = {
  huggingface: new Characters("huggingface"),
  google: new Characters("google"),
};

/** A character in lower case to Hugging Face. */
function lowercased(character: string): string {
  const code = character.codePointAt(0)!;
  // These are newer than Deno's tables: their small letters follow them, or lie 27 code points on.
  if (within(NEWER_CAPITALS, code)) return String.fromCodePoint(code + (code < 0x10000 ? 1 : 27));
  return character.toLowerCase();
}

function within(ranges: Ranges, code: number): boolean {
  return ranges.some(([from, to]) => code >= from && code <= to);
}

// `tokenizers` takes its categories from the tables of an older Unicode version than Deno's, so it knows less. What it takes
// otherwise is listed here; tests/parity/code_points.py and .ts compare every code point and print these ranges.

type Ranges = readonly (readonly [number, number])[];

/** Format characters that it takes for letters. */
const NEWER_CONTROL: Ranges = [[0x890, 0x891], [0x8E2, 0x8E2], [0x110CD, 0x110CD], [0x13430, 0x1343F]];

/** Punctuation to it, by a category that has been corrected since. */
const OLDER_PUNCTUATION: Ranges = [[0x166D, 0x166D], [0x111C9, 0x111C9]];

/** Capitals that it lowercases and Deno does not. */
const NEWER_CAPITALS: Ranges = [[0xA7CE, 0xA7CE], [0xA7D2, 0xA7D2], [0xA7D4, 0xA7D4], [0x16EA0, 0x16EB8]];

/** Punctuation that it takes for letters. */
// deno-fmt-ignore
const NEWER_PUNCTUATION: Ranges = [
  [0x61D, 0x61D], [0x9FD, 0x9FD], [0xA76, 0xA76], [0xC77, 0xC77], [0xC84, 0xC84], [0x1B4E, 0x1B4F], [0x1B7D, 0x1B7F],
  [0x2E43, 0x2E4F], [0x2E52, 0x2E5D], [0x10D6E, 0x10D6E], [0x10EAD, 0x10EAD], [0x10F55, 0x10F59], [0x10F86, 0x10F89],
  [0x113D4, 0x113D5], [0x113D7, 0x113D8], [0x1144B, 0x1144F], [0x1145A, 0x1145B], [0x1145D, 0x1145D],
  [0x11660, 0x1166C], [0x116B9, 0x116B9], [0x1183B, 0x1183B], [0x11944, 0x11946], [0x119E2, 0x119E2],
  [0x11A3F, 0x11A46], [0x11A9A, 0x11A9C], [0x11A9E, 0x11AA2], [0x11B00, 0x11B09], [0x11BE1, 0x11BE1],
  [0x11C41, 0x11C45], [0x11C70, 0x11C71], [0x11EF7, 0x11EF8], [0x11F43, 0x11F4F], [0x11FFF, 0x11FFF],
  [0x12FF1, 0x12FF2], [0x16D6D, 0x16D6F], [0x16E97, 0x16E9A], [0x16FE2, 0x16FE2], [0x1E5FF, 0x1E5FF],
  [0x1E95E, 0x1E95F],
];

/** Characters whose marks or decompositions it does not know: stripping accents leaves them alone. */
// deno-fmt-ignore
const NEWER_ACCENTS: Ranges = [
  [0x7FD, 0x7FD], [0x897, 0x89F], [0x8CA, 0x8E1], [0x9FE, 0x9FE], [0xAFA, 0xAFF], [0xB55, 0xB55], [0xC04, 0xC04],
  [0xC3C, 0xC3C], [0xD00, 0xD00], [0xD3B, 0xD3C], [0xD81, 0xD81], [0xEBA, 0xEBA], [0xECE, 0xECE], [0x180F, 0x180F],
  [0x1885, 0x1886], [0x1ABF, 0x1ACE], [0x1DF6, 0x1DFB], [0xA82C, 0xA82C], [0xA8C5, 0xA8C5], [0xA8FF, 0xA8FF],
  [0xA9BD, 0xA9BD], [0x105C9, 0x105C9], [0x105E4, 0x105E4], [0x10D24, 0x10D27], [0x10D69, 0x10D6D],
  [0x10EAB, 0x10EAC], [0x10EFC, 0x10EFF], [0x10F46, 0x10F50], [0x10F82, 0x10F85], [0x11070, 0x11070],
  [0x11073, 0x11074], [0x110C2, 0x110C2], [0x111C9, 0x111C9], [0x111CF, 0x111CF], [0x1123E, 0x1123E],
  [0x11241, 0x11241], [0x1133B, 0x1133B], [0x11383, 0x11383], [0x11385, 0x11385], [0x1138E, 0x1138E],
  [0x11391, 0x11391], [0x113BB, 0x113C0], [0x113C5, 0x113C5], [0x113C7, 0x113C8], [0x113CE, 0x113CE],
  [0x113D0, 0x113D0], [0x113D2, 0x113D2], [0x113E1, 0x113E2], [0x11438, 0x1143F], [0x11442, 0x11444],
  [0x11446, 0x11446], [0x1145E, 0x1145E], [0x1182F, 0x11837], [0x11839, 0x1183A], [0x11938, 0x11938],
  [0x1193B, 0x1193C], [0x1193E, 0x1193E], [0x11943, 0x11943], [0x119D4, 0x119D7], [0x119DA, 0x119DB],
  [0x119E0, 0x119E0], [0x11A01, 0x11A0A], [0x11A33, 0x11A38], [0x11A3B, 0x11A3E], [0x11A47, 0x11A47],
  [0x11A51, 0x11A56], [0x11A59, 0x11A5B], [0x11A8A, 0x11A96], [0x11A98, 0x11A99], [0x11C30, 0x11C36],
  [0x11C38, 0x11C3D], [0x11C3F, 0x11C3F], [0x11C92, 0x11CA7], [0x11CAA, 0x11CB0], [0x11CB2, 0x11CB3],
  [0x11CB5, 0x11CB6], [0x11D31, 0x11D36], [0x11D3A, 0x11D3A], [0x11D3C, 0x11D3D], [0x11D3F, 0x11D45],
  [0x11D47, 0x11D47], [0x11D90, 0x11D91], [0x11D95, 0x11D95], [0x11D97, 0x11D97], [0x11EF3, 0x11EF4],
  [0x11F00, 0x11F01], [0x11F36, 0x11F3A], [0x11F40, 0x11F40], [0x11F42, 0x11F42], [0x11F5A, 0x11F5A],
  [0x13440, 0x13440], [0x13447, 0x13455], [0x1611E, 0x16129], [0x1612D, 0x1612F], [0x16D68, 0x16D6A],
  [0x16F4F, 0x16F4F], [0x16FE4, 0x16FE4], [0x1CF00, 0x1CF2D], [0x1CF30, 0x1CF46], [0x1E000, 0x1E006],
  [0x1E008, 0x1E018], [0x1E01B, 0x1E021], [0x1E023, 0x1E024], [0x1E026, 0x1E02A], [0x1E08F, 0x1E08F],
  [0x1E130, 0x1E136], [0x1E2AE, 0x1E2AE], [0x1E2EC, 0x1E2EF], [0x1E4EC, 0x1E4EF], [0x1E5EE, 0x1E5EF],
  [0x1E944, 0x1E94A],
];

/** Characters that begin a composition, or have a combining class, that it does not know. */
// deno-fmt-ignore
const NEWER_STARTERS: Ranges = [
  [0x1715, 0x1715], [0x113CF, 0x113CF], [0x1193D, 0x1193D], [0x11F41, 0x11F41], [0x16FF0, 0x16FF1],
  [0x105D2, 0x105D2], [0x105DA, 0x105DA], [0x11382, 0x11382], [0x11384, 0x11384], [0x1138B, 0x1138B], [0x11390, 0x11390],
  [0x113C2, 0x113C2], [0x11935, 0x11935], [0x16D63, 0x16D63], [0x16D67, 0x16D67],
];

/** Of these, marks whose combining class it does know: its tables of normalization are newer than those of categories. */
// deno-fmt-ignore
const NEWER_SORTED: Ranges = [
  [0x8D4, 0x8E1], [0x1DFB, 0x1DFB], [0x11442, 0x11442], [0x11446, 0x11446], [0x11C3F, 0x11C3F], [0x1E000, 0x1E02A],
  [0x1E944, 0x1E94A],
];

/** Ranges as a class of a regular expression. */
function classOf(ranges: Ranges): string {
  return `[${ranges.map(([from, to]) => `\\u{${from.toString(16)}}-\\u{${to.toString(16)}}`).join("")}]`;
}

/** Marks to it, by a category that has been corrected since. */
const OLDER_MARKS: Ranges = [[0x1CF2, 0x1CF3]];

/** Marks that it does not know. */
// deno-fmt-ignore
const NEWER_MARKS: Ranges = [
  [0x7FD, 0x7FD], [0x897, 0x89F], [0x8CA, 0x8D3], [0x9FE, 0x9FE], [0xAFA, 0xAFF], [0xB55, 0xB55], [0xC04, 0xC04],
  [0xC3C, 0xC3C], [0xCF3, 0xCF3], [0xD00, 0xD00], [0xD3B, 0xD3C], [0xD81, 0xD81], [0xEBA, 0xEBA], [0xECE, 0xECE],
  [0x1715, 0x1715], [0x180F, 0x180F], [0x1ABF, 0x1ACE], [0x1CF7, 0x1CF7], [0x1DF6, 0x1DFA],
  [0xA82C, 0xA82C], [0xA8FF, 0xA8FF], [0x10D24, 0x10D27], [0x10D69, 0x10D6D], [0x10EAB, 0x10EAC], [0x10EFC, 0x10EFF],
  [0x10F46, 0x10F50], [0x10F82, 0x10F85], [0x11070, 0x11070], [0x11073, 0x11074], [0x110C2, 0x110C2],
  [0x11145, 0x11146], [0x111C9, 0x111C9], [0x111CE, 0x111CF], [0x11241, 0x11241], [0x1133B, 0x1133B],
  [0x113B8, 0x113C0], [0x113C2, 0x113C2], [0x113C5, 0x113C5], [0x113C7, 0x113CA], [0x113CC, 0x113D0],
  [0x113D2, 0x113D2], [0x113E1, 0x113E2], [0x1145E, 0x1145E], [0x1182C, 0x1183A], [0x11930, 0x11935],
  [0x11937, 0x11938], [0x1193B, 0x1193E], [0x11940, 0x11940], [0x11942, 0x11943], [0x119D1, 0x119D7],
  [0x119DA, 0x119E0], [0x119E4, 0x119E4], [0x11A01, 0x11A0A], [0x11A33, 0x11A39], [0x11A3B, 0x11A3E],
  [0x11A47, 0x11A47], [0x11A51, 0x11A5B], [0x11A8A, 0x11A99], [0x11D31, 0x11D36], [0x11D3A, 0x11D3A],
  [0x11D3C, 0x11D3D], [0x11D3F, 0x11D45], [0x11D47, 0x11D47], [0x11D8A, 0x11D8E], [0x11D90, 0x11D91],
  [0x11D93, 0x11D97], [0x11EF3, 0x11EF6], [0x11F00, 0x11F01], [0x11F03, 0x11F03], [0x11F34, 0x11F3A],
  [0x11F3E, 0x11F42], [0x11F5A, 0x11F5A], [0x13440, 0x13440], [0x13447, 0x13455], [0x1611E, 0x1612F],
  [0x16F4F, 0x16F4F], [0x16F7F, 0x16F87], [0x16FE4, 0x16FE4], [0x16FF0, 0x16FF1], [0x1CF00, 0x1CF2D],
  [0x1CF30, 0x1CF46], [0x1E08F, 0x1E08F], [0x1E130, 0x1E136], [0x1E2AE, 0x1E2AE], [0x1E2EC, 0x1E2EF],
  [0x1E4EC, 0x1E4EF], [0x1E5EE, 0x1E5EF],
];

/** Characters whose compatibility decomposition it does not know. */
// deno-fmt-ignore
const NEWER_COMPATIBILITY: Ranges = [
  [0x32FF, 0x32FF], [0xA7F1, 0xA7F4], [0xAB69, 0xAB69], [0x10781, 0x10785], [0x10787, 0x107B0], [0x107B2, 0x107BA],
  [0x1CCD6, 0x1CCF9], [0x1E030, 0x1E06D], [0x1F16C, 0x1F16C], [0x1FBF0, 0x1FBF9],
];

let newerMade: RegExp | undefined, newerCompatibleMade: RegExp | undefined;

/** A character that composes with nothing there, or with nothing but what is as new. */
function newer(): RegExp {
  return newerMade ??= outside(NEWER_SORTED, [...NEWER_ACCENTS, ...NEWER_STARTERS]);
}

/** The same for compatibility forms. */
function newerCompatible(): RegExp {
  return newerCompatibleMade ??= outside(NEWER_SORTED, [...NEWER_ACCENTS, ...NEWER_STARTERS, ...NEWER_COMPATIBILITY]);
}

/** Finds what is in some ranges and not in others. */
function outside(others: Ranges, ranges: Ranges): RegExp {
  return new RegExp(`((?!${classOf(others)})${classOf(ranges)})`, "u");
}
