/** Where one grapheme ends and the next begins (Unicode TR29), as far as a charsmap asks for it. */

/** Characters that may share a grapheme with a neighbour; between two others there is always a boundary. */
const JOINS =
  /[\p{M}\p{Grapheme_Extend}\p{Join_Control}\u0600-\u0605\u06DD\u070F\u0890\u0891\u08E2\p{Regional_Indicator}\p{Emoji_Modifier}\r\n\u0E33\u0EB3\u0D4E\u1100-\u11FF\uA960-\uA97C\uD7B0-\uD7FB\u{110BD}\u{110CD}\u{111C2}\u{111C3}\u{113D1}\u{1193F}\u{11941}\u{11A84}-\u{11A89}\u{11D46}\u{11A3A}\u{11F02}\u{16D63}\u{16D67}-\u{16D6A}]/u;

const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" });
const known = new Uint8Array(0x10000);

/** Whether a code point may share a grapheme with what stands beside it. */
export function graphemeJoins(code: number): boolean {
  if (code >= 0x10000) return JOINS.test(String.fromCodePoint(code));
  if (known[code] === 0) known[code] = JOINS.test(String.fromCharCode(code)) ? 2 : 1;
  return known[code] === 2;
}

/** The graphemes of a text from `at`, where one begins, to the next boundary between two characters that join nothing. */
export function graphemesOf(text: string, at: number): { graphemes: string[]; end: number } {
  let end = at, before = true;
  while (end < text.length) {
    const code = text.codePointAt(end)!, joins = graphemeJoins(code);
    if (!joins && !before && end > at) break;
    before = joins;
    end += code < 0x10000 ? 1 : 2;
  }
  return { graphemes: Array.from(segmenter.segment(text.slice(at, end)), ({ segment }) => segment), end };
}

/** Whether a code point may share a grapheme with the space that stands before it. */
export function joinsSpaceBefore(code: number): boolean {
  return graphemeJoins(code) && !isBetween(` ${String.fromCodePoint(code)}`, 1);
}

/** Whether a code point may share a grapheme with the space that stands behind it. */
export function joinsSpaceBehind(code: number): boolean {
  const character = String.fromCodePoint(code);
  return graphemeJoins(code) && !isBetween(`${character} `, character.length);
}

function isBetween(text: string, at: number): boolean {
  return segmenter.segment(text).containing(at)!.index === at;
}
