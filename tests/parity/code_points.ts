/**
 * Compares cloze's view of every code point with Hugging Face's, or Google's, from the file that code_points.py printed.
 * usage: deno run -A tests/parity/code_points.ts classes.json [google]
 */

import {
  CHARACTERS,
  CONTROL,
  CONTROL_SPACE,
  IDEOGRAPH,
  LETTER,
  PUNCTUATION,
  SPACE,
} from "../../tokenizer/wordpiece/characters.ts";

const NAMES: Record<number, string> = {
  [LETTER]: "letter",
  [SPACE]: "space",
  [PUNCTUATION]: "punctuation",
  [CONTROL]: "control",
  [CONTROL_SPACE]: "control",
  [IDEOGRAPH]: "ideograph",
};
const rows: [number, string, string, string, boolean][] = JSON.parse(await Deno.readTextFile(Deno.args[0]));
const characters = CHARACTERS[Deno.args[1] === "google" ? "google" : "huggingface"];

const different: Record<string, number[]> = {};
for (const [code, kind, stripped, lowered, sorted] of rows) {
  const character = String.fromCodePoint(code);
  const found = NAMES[characters.classOf(code)];
  const note = (what: string) => (different[what] ??= []).push(code);
  if (found !== kind) note(`class: ${found} here, ${kind} there`);
  if (characters.fold(character, false, true) !== stripped) note("strip_accents");
  if (characters.fold(character, true, false) !== lowered) note("lowercase");
  if (characters.hasCombiningClass(character) !== sorted) note("combining class");
}
/** `[from, to]` ranges in hexadecimal. */
function ranges(codes: number[]): string {
  const out: [number, number][] = [];
  for (const code of codes) {
    const last = out[out.length - 1];
    if (last !== undefined && last[1] === code - 1) last[1] = code;
    else out.push([code, code]);
  }
  return out.map(([from, to]) => `[0x${from.toString(16).toUpperCase()}, 0x${to.toString(16).toUpperCase()}]`).join(
    ", ",
  );
}
for (const [what, codes] of Object.entries(different)) {
  console.log(`${what}: ${codes.length} code points\n  ${ranges(codes)}`);
}
console.log(`${rows.length} code points compared, ${Object.values(different).flat().length} differences`);
if (Object.keys(different).length > 0) Deno.exit(1);
