/**
 * What kind of character a code point is to BERT's normalizer and pre-tokenizer, as Hugging Face `tokenizers` sees it.
 * Used by `pre_tokenizer.ts` only.
 */

/** Part of a word. */
export const LETTER = 1;
/** Separates words and goes away. */
export const SPACE = 2;
/** A word of its own. */
export const PUNCTUATION = 3;
/** Removed by `clean_text`: NUL, U+FFFD, control, format and private use characters. */
export const CONTROL = 4;
/** A CJK ideograph: a word of its own with `handle_chinese_chars`. */
export const IDEOGRAPH = 5;

const SPACES = /[\t-\r \x85\xA0\u1680\u2000-\u200A\u2028\u2029\u202F\u205F\u3000]/;
const ASCII_PUNCTUATION = /[!-/:-@[-`{-~]/;
const CATEGORY = { punctuation: /\p{P}/u, control: /[\p{Cc}\p{Cf}\p{Co}]/u, mark: /\p{Mn}/u };

/**
 * The blocks that BERT calls Chinese (google-research/bert, tokenization.py; the second extension E boundary is
 * Hugging Face's). Hangul is not among them.
 */
const IDEOGRAPHS = [
  [0x4E00, 0x9FFF],
  [0x3400, 0x4DBF],
  [0x20000, 0x2A6DF],
  [0x2A700, 0x2B73F],
  [0x2B740, 0x2B81F],
  [0x2B920, 0x2CEAF],
  [0xF900, 0xFAFF],
  [0x2F800, 0x2FA1F],
];

function classify(code: number): number {
  const character = String.fromCodePoint(code);
  if (code === 9 || code === 10 || code === 13) return SPACE;
  if (code === 0 || code === 0xFFFD) return CONTROL;
  if (isControl(code, character)) return CONTROL;
  if (SPACES.test(character)) return SPACE;
  if (ASCII_PUNCTUATION.test(character) || isPunctuation(code, character)) return PUNCTUATION;
  if (IDEOGRAPHS.some(([from, to]) => code >= from && code <= to)) return IDEOGRAPH;
  return LETTER;
}

function isControl(code: number, character: string): boolean {
  return CATEGORY.control.test(character) && !NEWER_CONTROL.has(code);
}

function isPunctuation(code: number, character: string): boolean {
  return CATEGORY.punctuation.test(character) && !within(NEWER_PUNCTUATION, code);
}

/** Whether `strip_accents` removes it: a nonspacing mark. */
export function isNonspacingMark(code: number): boolean {
  return CATEGORY.mark.test(String.fromCodePoint(code)) && !within(NEWER_MARKS, code);
}

function within(ranges: readonly (readonly [number, number])[], code: number): boolean {
  return ranges.some(([from, to]) => code >= from && code <= to);
}

// `tokenizers` takes its categories from a table of an older Unicode version than Deno's. What is newer is a letter to
// it. Made by tests/parity/tokenizer_sweep.py, which compares every code point.
const NEWER_CONTROL: ReadonlySet<number> = new Set<number>([]);
const NEWER_PUNCTUATION: readonly (readonly [number, number])[] = [];
const NEWER_MARKS: readonly (readonly [number, number])[] = [];

const basic = new Uint8Array(0x10000);
const astral = new Map<number, number>();

/** The class of a code point. */
export function characterClass(code: number): number {
  if (code < 0x10000) return basic[code] ||= classify(code);
  let found = astral.get(code);
  if (found === undefined) astral.set(code, found = classify(code));
  return found;
}
