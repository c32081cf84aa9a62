/**
 * The normalizers of tokenizer.json. Each edits text, alone or with the place of every character, which goes where Hugging
 * Face's goes. Used by `normalizer_chain.ts`.
 */

import { ClozeError } from "../../config/cloze_error.ts";
import { boolean, isObject, type Json, refusal, shown, string } from "../json_fields.ts";
import { Charsmap } from "../unigram/charsmap.ts";
import { CHARACTERS } from "../wordpiece/characters.ts";
import type { EditedText } from "./edited_text.ts";
import { alignForm, type NormalForm } from "./normal_forms.ts";

/** A step that changes text before it is cut into words. */
export interface Normalizer {
  /** Characters whose neighbours it looks at. */
  readonly looksAround?: string;
  /** Whether it looks at white space beside other, or at the ends of the text. */
  readonly looksAtSpaces?: boolean;
  /** Whether it changes every text. */
  readonly changesAll?: boolean;
  /** Whether it composes or sorts characters. */
  readonly composes?: boolean;
  /** The text that it makes of a text. */
  plain(text: string): string;
  /** The same edit, with the places of the characters. */
  edit(text: EditedText): void;
}

const characters = CHARACTERS.huggingface;

/** Reads a step from its object in tokenizer.json. */
export type ReadNormalizer = (json: Record<string, Json>) => Normalizer;

/** SentencePiece's charsmap. */
export function precompiled(base64: string): Normalizer {
  const map = new Charsmap(base64);
  return {
    plain(text) {
      let out = "";
      map.visit(text, (chunk, replacement) => out += replacement ?? chunk);
      return out;
    },
    edit(text) {
      const chars: string[] = [], changes: number[] = [];
      let modified = false;
      map.visit(text.text, (chunk, replacement) => {
        const before = chars.length;
        for (const character of replacement ?? chunk) chars.push(character);
        for (let i = before; i < chars.length; i++) changes.push(0);
        if (replacement === undefined) return;
        modified = true;
        const more = chars.length - before - Array.from(chunk).length;
        // What is put in are the last ones; what is taken away goes behind the last one, if there is one.
        if (more > 0) changes.fill(1, changes.length - more);
        else if (changes.length > 0) changes[changes.length - 1] += more;
      });
      if (modified) text.transform(chars, changes);
    },
  };
}

/** Regular expressions that real files have. */
const PATTERNS: Record<string, RegExp> = { " {2,}": / {2,}/gu, " +": / +/gu, "\\s+": /\p{White_Space}+/gu };

function replace(json: Record<string, Json>): Normalizer {
  const { pattern } = json, content = string(json.content, "normalizer.content"), name = "normalizer.pattern";
  if (isObject(pattern) && pattern.String !== undefined) {
    const text = string(pattern.String, `${name}.String`);
    if (text === "") throw refusal(`${name}.String`, text, "a text to replace");
    return { ...replaceAll(text, content), looksAround: text };
  }
  const regex = isObject(pattern) ? pattern.Regex : pattern;
  if (typeof regex === "string" && Object.hasOwn(PATTERNS, regex)) {
    return { ...replaceAll(PATTERNS[regex], content), looksAtSpaces: true };
  }
  throw refusal(name, regex, `a String, or one of the Regex ${Object.keys(PATTERNS).map(shown).join(", ")}`);
}

/** What is put in gets the place of the last character that is taken away. */
function replaceAll(pattern: string | RegExp, content: string): Pick<Normalizer, "plain" | "edit"> {
  const expression = typeof pattern === "string"
    ? new RegExp(pattern.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), "gu")
    : pattern;
  return {
    plain: (text) => text.replaceAll(pattern, () => content),
    edit(text) {
      const whole = text.text, ranges: { from: number; to: number }[] = [];
      let unit = 0, character = 0;
      const characterAt = (at: number) => {
        while (unit < at) unit += text.chars[character++].length;
        return character;
      };
      for (const { 0: found, index } of whole.matchAll(expression)) {
        ranges.push({ from: characterAt(index), to: characterAt(index + found.length) });
      }
      if (ranges.length > 0) text.replace(ranges, Array.from(content));
    },
  };
}

/** Puts a text before text that is not empty; it gets the place of the first character. */
function prepend(prefix: string): Normalizer {
  return {
    changesAll: prefix !== "",
    plain: (text) => text === "" ? "" : prefix + text,
    edit(text) {
      if (text.chars.length === 0) return;
      const characters = Array.from(prefix);
      text.chars.unshift(...characters);
      text.starts.unshift(...characters.map(() => text.starts[0]));
      text.ends.unshift(...characters.map(() => text.ends[0]));
    },
  };
}

const WHITE_SPACE = /^\p{White_Space}$/u;

function strip(left: boolean, right: boolean): Normalizer {
  return {
    looksAtSpaces: true,
    plain(text) {
      if (left) text = text.replace(/^\p{White_Space}+/u, "");
      return right ? text.slice(0, endOf(text)) : text;
    },
    edit(text) {
      let from = 0, to = text.chars.length;
      if (left) { while (from < to && WHITE_SPACE.test(text.chars[from])) from++; }
      if (right) { while (to > from && WHITE_SPACE.test(text.chars[to - 1])) to--; }
      text.filter((_, i) => i >= from && i < to);
    },
  };
}

/** Where the white space at the end of a text begins. All white space is one UTF-16 unit. */
function endOf(text: string): number {
  let end = text.length;
  while (end > 0 && WHITE_SPACE.test(text[end - 1])) end--;
  return end;
}

// deno-lint-ignore no-control-regex -- the characters that Google's NMT rules drop
const NMT_DROPPED = /[\x01-\x08\x0B\x0E-\x1F\x7F\x8F\x9F]/g;
const NMT_SPACES = /[\t\n\f\r\u1680\u200B-\u200F\u2028\u2029\u2581\uFEFF\uFFFD]/g;

const NMT: Normalizer = {
  plain: (text) => text.replace(NMT_DROPPED, "").replace(NMT_SPACES, " "),
  edit(text) {
    text.filter((character) => character.replace(NMT_DROPPED, "") !== "");
    text.chars = text.chars.map((character) => character.replace(NMT_SPACES, " "));
  },
};

const LOWERCASE: Normalizer = {
  plain: (text) => Array.from(text, lowercased).join(""),
  edit(text) {
    const chars: string[] = [], changes: number[] = [];
    for (const character of text.chars) {
      let change = 0;
      for (const part of lowercased(character)) {
        chars.push(part);
        changes.push(change);
        change = 1;
      }
    }
    text.transform(chars, changes);
  },
};

function lowercased(character: string): string {
  return characters.fold(character, true, false);
}

const STRIP_ACCENTS: Normalizer = {
  plain: (text) => Array.from(text).filter((character) => !characters.isMark(character)).join(""),
  edit: (text) => text.filter((character) => !characters.isMark(character)),
};

function unicode(form: NormalForm): Normalizer {
  return {
    composes: true,
    plain: (text) => characters.normalized(text, form),
    edit: (text) => alignForm(text, form),
  };
}

/** The steps by their type. */
const NORMALIZERS: Record<string, ReadNormalizer> = {
  NFC: () => unicode("NFC"),
  NFD: () => unicode("NFD"),
  NFKC: () => unicode("NFKC"),
  NFKD: () => unicode("NFKD"),
  Nmt: () => NMT,
  Lowercase: () => LOWERCASE,
  StripAccents: () => STRIP_ACCENTS,
  Strip: (json) =>
    strip(boolean(json.strip_left, "normalizer.strip_left"), boolean(json.strip_right, "normalizer.strip_right")),
  Prepend: (json) => prepend(string(json.prepend, "normalizer.prepend")),
  Precompiled: (json) => precompiled(string(json.precompiled_charsmap, "normalizer.precompiled_charsmap")),
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
