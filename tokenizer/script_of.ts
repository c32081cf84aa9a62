/** The script that a character belongs to, by the name that people know it by. Used to say what a vocabulary lacks. */

const SCRIPTS: readonly [name: string, pattern: RegExp][] = [
  "Latin",
  "Hangul",
  "Han",
  "Hiragana",
  "Katakana",
  "Cyrillic",
  "Greek",
  "Arabic",
  "Hebrew",
  "Devanagari",
  "Thai",
  "Bengali",
  "Tamil",
  "Telugu",
  "Kannada",
  "Malayalam",
  "Gujarati",
  "Gurmukhi",
  "Oriya",
  "Sinhala",
  "Lao",
  "Khmer",
  "Myanmar",
  "Tibetan",
  "Georgian",
  "Armenian",
  "Ethiopic",
  "Mongolian",
].map((script) => [script, new RegExp(`\\p{Script=${script}}`, "u")]);

/** The name of a character's script; digits, emoji, punctuation and symbols go by these names, the rest is `other letters`. */
export function scriptOf(character: string): string {
  const script = SCRIPTS.find(([, pattern]) => pattern.test(character));
  if (script !== undefined) return script[0];
  if (/\p{N}/u.test(character)) return "digits";
  if (/\p{Extended_Pictographic}/u.test(character)) return "emoji";
  if (/\p{P}/u.test(character)) return "punctuation";
  return /[\p{S}\p{M}\p{C}]/u.test(character) ? "symbols" : "other letters";
}
