/**
 * The normalizers of tokenizer.json, one after the other: NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, Prepend,
 * Replace. Offsets go where Hugging Face's go. Used by the splitter of pipelines.
 */

import { ClozeError } from "../../config/cloze_error.ts";
import { type AlignedText, prefixed } from "../aligned_text.ts";
import { boolean, isObject, type Json, shown, string } from "../json_fields.ts";
import { codePointAt, widthOf } from "../utf8.ts";
import { CHARACTERS } from "../wordpiece/characters.ts";
import { composes } from "../wordpiece/word_scanner.ts";

/** A step that changes text before it is cut into words. */
export interface Normalizer {
  /** Whether it may change `bytes[from..to)`; where it does not, nothing else of it is called. */
  mayChange(bytes: Uint8Array, from: number, to: number): boolean;
  /** The text that it makes of a text. */
  plain(text: string): string;
  /** The same, with where each part came from. */
  aligned(text: AlignedText): AlignedText;
}

/** Reads a step from its object in tokenizer.json. */
export type ReadNormalizer = (json: Record<string, Json>) => Normalizer;

const characters = CHARACTERS.huggingface;

/** Which code points a step leaves alone whatever stands beside them, looked up once each. */
export class InertCharacters {
  readonly #isInert: (code: number) => boolean;
  /** 0: not looked up yet; 1: inert; 2: not. */
  readonly #basic = new Uint8Array(0x10000);

  constructor(isInert: (code: number) => boolean) {
    this.#isInert = isInert;
  }

  /** Whether `bytes[from..to)` has others. */
  hasOthers(bytes: Uint8Array, from: number, to: number): boolean {
    const basic = this.#basic;
    for (let i = from; i < to; i += widthOf(bytes[i])) {
      const code = codePointAt(bytes, i);
      if (code >= 0x10000) {
        if (!this.#isInert(code)) return true;
      } else if ((basic[code] ||= this.#isInert(code) ? 1 : 2) === 2) return true;
    }
    return false;
  }
}

/** A step that makes of each character what depends on the character alone. */
class PerCharacter implements Normalizer {
  readonly #map: (character: string) => string;
  readonly #inert: InertCharacters;

  constructor(map: (character: string) => string) {
    this.#map = map;
    this.#inert = new InertCharacters((code) => map(String.fromCodePoint(code)) === String.fromCodePoint(code));
  }

  mayChange(bytes: Uint8Array, from: number, to: number): boolean {
    return this.#inert.hasOthers(bytes, from, to);
  }

  plain(text: string): string {
    let out = "";
    for (const character of text) out += this.#map(character);
    return out;
  }

  aligned(text: AlignedText): AlignedText {
    const out = new AlignedBuilder(text);
    let at = 0;
    for (const character of text.text) {
      out.add(this.#map(character), at);
      at += character.length;
    }
    return out.text;
  }
}

/** Builds a text whose parts come from places of another. */
export class AlignedBuilder {
  readonly #from: AlignedText;
  readonly text: AlignedText = { text: "", starts: [], ends: [] };

  constructor(from: AlignedText) {
    this.#from = from;
  }

  /** Appends a text that comes from the character at a place of the other, or, behind its end, from its last one. */
  add(text: string, at: number): void {
    const { starts, ends } = this.#from, out = this.text;
    const place = Math.min(at, starts.length - 1);
    out.text += text;
    for (let i = 0; i < text.length; i++) {
      out.starts.push(starts[place]);
      out.ends.push(ends[place]);
    }
  }
}

type Form = "NFC" | "NFD" | "NFKC" | "NFKD";

/** What composes or is sorted together: a syllable's Jamo, a character with its marks. */
const UNIT =
  /[\u1100-\u1112][\u1161-\u1175][\u11A8-\u11C2]?\p{M}*|[\uAC00-\uD7A3][\u11A8-\u11C2]?\p{M}*|[^\p{M}][\p{M}\u{16D67}\u{16D63}]*|\p{M}+/gsu;

/** A Unicode normalization form. */
class UnicodeForm implements Normalizer {
  readonly #form: Form;
  readonly #inert: InertCharacters;

  constructor(form: Form) {
    this.#form = form;
    this.#inert = new InertCharacters((code) => {
      if (code < 0x80) return true;
      const character = String.fromCodePoint(code);
      return this.#normalized(character) === character && !composes(character) && !/\p{M}/u.test(character);
    });
  }

  #normalized(text: string): string {
    return characters.normalized(text, this.#form);
  }

  mayChange(bytes: Uint8Array, from: number, to: number): boolean {
    return this.#inert.hasOthers(bytes, from, to);
  }

  plain(text: string): string {
    return this.#normalized(text);
  }

  aligned(text: AlignedText): AlignedText {
    const out = new AlignedBuilder(text);
    for (const { 0: unit, index } of text.text.matchAll(UNIT)) {
      const normalized = Array.from(this.#normalized(unit)), places = placesOf(unit, index);
      // What a composition swallows comes off at its first character; the others follow one by one.
      const removed = Math.max(0, places.length - normalized.length);
      normalized.forEach((character, i) => {
        out.add(character, places[Math.min(places.length - 1, i === 0 ? 0 : i + removed)]);
      });
    }
    return out.text;
  }
}

/** Where the characters of a part stand. */
function placesOf(part: string, index: number): number[] {
  const places: number[] = [];
  for (const character of part) {
    places.push(index);
    index += character.length;
  }
  return places;
}

/** Puts a text before text that is not empty. */
class Prepend implements Normalizer {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  mayChange(_bytes: Uint8Array, from: number, to: number): boolean {
    return to > from && this.#prefix !== "";
  }

  plain(text: string): string {
    return text === "" ? text : this.#prefix + text;
  }

  aligned(text: AlignedText): AlignedText {
    return text.text === "" ? text : prefixed(text, this.#prefix);
  }
}

/** Puts one text in the place of every occurrence of another, or of every run of spaces. */
class Replace implements Normalizer {
  readonly #pattern: RegExp;
  readonly #content: string;

  constructor(pattern: RegExp, content: string) {
    this.#pattern = pattern;
    this.#content = content;
  }

  mayChange(): boolean {
    return true;
  }

  plain(text: string): string {
    return text.replace(this.#pattern, () => this.#content);
  }

  aligned(text: AlignedText): AlignedText {
    const out = new AlignedBuilder(text);
    let from = 0;
    const keep = (to: number) => {
      for (; from < to; from++) out.add(text.text[from], from);
    };
    for (const { 0: found, index } of text.text.matchAll(this.#pattern)) {
      keep(index);
      from = index + found.length;
      out.add(this.#content, from - 1);
    }
    keep(text.text.length);
    return out.text;
  }
}

/** Regular expressions that real files have. */
const PATTERNS: Record<string, RegExp> = { " {2,}": / {2,}/gu, " +": / +/gu, "\\s+": /\p{White_Space}+/gu };

function replace(json: Record<string, Json>): Normalizer {
  const content = string(json.content, "normalizer.content");
  const { String: text, Regex: regex } = isObject(json.pattern) ? json.pattern : {};
  if (typeof text === "string" && text !== "") {
    return new Replace(new RegExp(text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), "gu"), content);
  }
  if (typeof regex === "string" && Object.hasOwn(PATTERNS, regex)) return new Replace(PATTERNS[regex], content);
  throw new ClozeError(
    "input",
    `its normalizer Replace has the pattern ${shown(text ?? regex)}, which cloze does not read`,
  );
}

/** Takes white space off the ends. */
class Strip implements Normalizer {
  readonly #left: boolean;
  readonly #right: boolean;

  constructor(left: boolean, right: boolean) {
    this.#left = left;
    this.#right = right;
  }

  mayChange(): boolean {
    return true;
  }

  #range(text: string): [number, number] {
    let from = 0, to = text.length;
    const isSpace = (at: number) => /\p{White_Space}/u.test(text[at]);
    if (this.#left) { while (from < to && isSpace(from)) from++; }
    if (this.#right) { while (to > from && isSpace(to - 1)) to--; }
    return [from, to];
  }

  plain(text: string): string {
    return text.slice(...this.#range(text));
  }

  aligned({ text, starts, ends }: AlignedText): AlignedText {
    const range = this.#range(text);
    return { text: text.slice(...range), starts: starts.slice(...range), ends: ends.slice(...range) };
  }
}

/** The steps by their type. */
const NORMALIZERS: Record<string, ReadNormalizer> = {
  NFC: () => new UnicodeForm("NFC"),
  NFD: () => new UnicodeForm("NFD"),
  NFKC: () => new UnicodeForm("NFKC"),
  NFKD: () => new UnicodeForm("NFKD"),
  Lowercase: () => new PerCharacter((character) => characters.fold(character, true, false)),
  StripAccents: () => new PerCharacter((character) => characters.isMark(character) ? "" : character),
  Strip: ({ strip_left, strip_right }) =>
    new Strip(boolean(strip_left, "normalizer.strip_left"), boolean(strip_right, "normalizer.strip_right")),
  Prepend: ({ prepend }) => new Prepend(string(prepend, "normalizer.prepend")),
  Replace: replace,
};

/** The step that an object of tokenizer.json stands for. @throws {ClozeError} naming one that is not known. */
export function readNormalizer(json: Record<string, Json>): Normalizer {
  const { type } = json;
  if (typeof type === "string" && Object.hasOwn(NORMALIZERS, type)) return NORMALIZERS[type](json);
  throw new ClozeError("input", `its normalizer ${shown(type)} is not one that cloze reads`, {
    hint: `cloze reads ${Object.keys(NORMALIZERS).join(", ")}`,
  });
}
