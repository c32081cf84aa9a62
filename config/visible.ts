/**
 * Text of others as it may be shown: control characters, which a terminal obeys, and those that turn the direction of
 * text, which make a line read as another one, are written as escapes.
 */

/** C0 without tab and line feed, DEL, C1; marks, embeddings, overrides and isolates of direction; separators of lines. */
// deno-lint-ignore no-control-regex
const HIDDEN = /[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * The text with those characters as `\x1b` (below 0x20) or `\u202e`. JSON has no raw character of the first kind, so that
 * what becomes of it is JSON with the same content.
 */
export function visible(text: string): string {
  return text.replace(HIDDEN, (character) => {
    const code = character.charCodeAt(0);
    return code < 0x20 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

/** The same of text that has to stay on its line: a name, a label, a token. */
export function visibleLine(text: string): string {
  return visible(text).replaceAll("\t", "\\t").replaceAll("\n", "\\n");
}
