/**
 * SentencePiece's precompiled charsmap: which bytes of a text become which text. The file holds a double-array trie (Darts)
 * over UTF-8 bytes, whose values are places in a blob of replacements that end with NUL. Read as `tokenizers` reads it,
 * which takes the *shortest* key that a chunk begins with, and the whole chunk becomes that key's replacement. Used by
 * `normalizers.ts`.
 */

import { ClozeError } from "../../config/cloze_error.ts";
import { graphemeJoins, graphemesOf } from "./graphemes.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Graphemes of more bytes are looked up character by character. */
const LONGEST_GRAPHEME = 5;

const LABEL = 0x800000FF | 0;

/** A charsmap. */
export class Charsmap {
  /** As it stands in tokenizer.json. */
  readonly base64: string;
  readonly #units: Uint32Array;
  readonly #blob: Uint8Array;
  readonly #texts = new Map<number, string>();
  readonly #key = new Uint8Array(8);

  /** @throws {ClozeError} `input` if it is none. */
  constructor(base64: string) {
    this.base64 = base64;
    const bytes = decoded(base64);
    const size = bytes.length < 4 ? 0 : new DataView(bytes.buffer).getUint32(0, true);
    const units = Math.floor(size / 4);
    if (units === 0 || 4 + 4 * units > bytes.length) throw damaged(`its trie has ${size} of ${bytes.length} bytes`);
    // Copied, so that it is aligned; the machines that Deno runs on are little-endian.
    this.#units = new Uint32Array(bytes.slice(4, 4 + 4 * units).buffer);
    this.#blob = bytes.slice(4 + 4 * units);
    try {
      decoder.decode(this.#blob);
    } catch {
      throw damaged("its replacements are not UTF-8");
    }
  }

  /**
   * What a chunk becomes: a character, or a grapheme of at most five bytes.
   *
   * @throws {ClozeError} `input` if the map leads outside itself.
   */
  replacement(chunk: string): string | undefined {
    const units = this.#units, key = this.#key;
    const { written } = encoder.encodeInto(chunk, key);
    let node = offsetOf(units[0]);
    for (let i = 0; i < written && key[i] !== 0; i++) {
      node ^= key[i];
      if (node >= units.length) throw damaged("its trie leads outside itself");
      const unit = units[node];
      if ((unit & LABEL) !== key[i]) return undefined;
      node ^= offsetOf(unit);
      if ((unit >>> 8 & 1) === 0) continue;
      if (node >= units.length) throw damaged("its trie leads outside itself");
      return this.#textAt(units[node] & 0x7FFFFFFF);
    }
    return undefined;
  }

  #textAt(place: number): string {
    let text = this.#texts.get(place);
    if (text !== undefined) return text;
    if (place > this.#blob.length || (this.#blob[place] & 0xC0) === 0x80) throw damaged("a value is no replacement");
    const end = this.#blob.indexOf(0, place);
    text = decoder.decode(this.#blob.subarray(place, end < 0 ? this.#blob.length : end));
    this.#texts.set(place, text);
    return text;
  }

  /**
   * Visits a text from left to right: each chunk that is looked up as one, and what it becomes, or `undefined` where it
   * stays. A grapheme of at most five bytes is looked up whole, and where that finds nothing, and in longer ones, each
   * character.
   */
  visit(text: string, emit: (chunk: string, replacement: string | undefined) => void): void {
    const single = (character: string) => emit(character, this.replacement(character));
    for (let at = 0; at < text.length;) {
      const code = text.codePointAt(at)!, next = at + (code < 0x10000 ? 1 : 2);
      if (!graphemeJoins(code) && (next === text.length || !graphemeJoins(text.codePointAt(next)!))) {
        single(text.slice(at, next));
        at = next;
        continue;
      }
      const { graphemes, end } = graphemesOf(text, at);
      for (const grapheme of graphemes) {
        const whole = utf8Length(grapheme) <= LONGEST_GRAPHEME ? this.replacement(grapheme) : undefined;
        if (whole !== undefined) emit(grapheme, whole);
        else for (const character of grapheme) single(character);
      }
      at = end;
    }
  }
}

/** How far a node's children are, which each unit says. */
function offsetOf(unit: number): number {
  return unit >>> 10 << (unit >>> 6 & 8);
}

function utf8Length(text: string): number {
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    // Half of a character beyond U+FFFF counts for two of its four bytes.
    length += unit < 0x80 ? 1 : unit < 0x800 || (unit >= 0xD800 && unit < 0xE000) ? 2 : 3;
  }
  return length;
}

function decoded(base64: string): Uint8Array<ArrayBuffer> {
  if (base64.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) throw damaged("it is not base64");
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function damaged(why: string): ClozeError {
  return new ClozeError("input", `its precompiled_charsmap is damaged: ${why}`);
}
