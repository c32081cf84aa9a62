/**
 * How Unigram tokenizers cut normalized text into words: at white space (`WhitespaceSplit`), and by `Metaspace`, which writes
 * every space as ▁ and begins a word with it. Read from and written to tokenizer.json, its decoder too. Used by
 * `metaspace_splitter.ts` and by the decoders.
 */

import { ClozeError } from "../../config/cloze_error.ts";
import { type AlignedText, sliced } from "../aligned_text.ts";
import { boolean, type Json, refusal, shown, string } from "../json_fields.ts";

/** When ▁ is put before a word that does not begin with it. */
export const PREPEND_SCHEMES = ["always", "first", "never"] as const;

/** One of {@linkcode PREPEND_SCHEMES}; `first` is where the text begins. */
export type PrependScheme = typeof PREPEND_SCHEMES[number];

/** How text is cut into words. */
export interface MetaspaceOptions {
  /** Cut at white space first. */
  whitespace_split: boolean;
  /** What stands for a space: one character. */
  replacement: string;
  prepend_scheme: PrependScheme;
  /** Whether a word begins at every replacement. */
  split: boolean;
}

/** The pre-tokenizer of XLM-R, CamemBERT, T5 and cloze's own Unigram tokenizers, as steps of tokenizer.json. */
export const METASPACE_STEPS: readonly Record<string, Json>[] = [
  { type: "WhitespaceSplit" },
  { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
];

const WHITE_SPACE = /^\p{White_Space}$/u;

/** Cuts a normalized text into words; with the scheme `first`, one that does not begin where the whole text begins. */
export function splitText(text: string, options: MetaspaceOptions): string[] {
  const { whitespace_split, replacement, prepend_scheme, split } = options;
  const words: string[] = [];
  for (const part of whitespace_split ? text.split(/\p{White_Space}+/u) : [text]) {
    if (part === "") continue;
    let word = part.replaceAll(" ", replacement);
    if (prepend_scheme === "always" && !word.startsWith(replacement)) word = replacement + word;
    if (!split) words.push(word);
    else {
      for (let from = 0; from < word.length;) {
        const next = word.indexOf(replacement, from + replacement.length);
        const to = next < 0 ? word.length : next;
        words.push(word.slice(from, to));
        from = to;
      }
    }
  }
  return words;
}

/**
 * The same of the part of a text from `from` to `to`, with the places of its characters. `isFirst`: it begins where the whole
 * text begins.
 */
export function splitAligned(
  text: AlignedText,
  from: number,
  to: number,
  options: MetaspaceOptions,
  isFirst: boolean,
): AlignedText[] {
  const { whitespace_split, replacement, split } = options;
  const words: AlignedText[] = [];
  for (const part of whitespace_split ? atWhiteSpace(text, from, to) : [sliced(text, from, to)]) {
    if (part.text === "") continue;
    const word = marked(part, options, isFirst && part.starts[0] === 0);
    for (let at = 0; at < word.text.length;) {
      const next = split ? word.text.indexOf(replacement, at + replacement.length) : -1;
      const end = next < 0 ? word.text.length : next;
      words.push(sliced(word, at, end));
      at = end;
    }
  }
  return words;
}

function atWhiteSpace(text: AlignedText, from: number, to: number): AlignedText[] {
  const parts: AlignedText[] = [];
  for (let at = from; at <= to; at++) {
    if (at < to && !WHITE_SPACE.test(text.text[at])) continue;
    parts.push(sliced(text, from, at));
    from = at + 1;
  }
  return parts;
}

/** With the replacement in place of spaces, and before the first character, whose place it gets. */
function marked({ text, starts, ends }: AlignedText, options: MetaspaceOptions, isFirst: boolean): AlignedText {
  const { replacement, prepend_scheme } = options;
  const word: AlignedText = { text: "", starts: [], ends: [] };
  const add = (part: string, at: number) => {
    word.text += part;
    for (let unit = 0; unit < part.length; unit++) {
      word.starts.push(starts[at]);
      word.ends.push(ends[at]);
    }
  };
  const isAsked = prepend_scheme === "always" || (prepend_scheme === "first" && isFirst);
  if (isAsked && text[0] !== " " && !text.startsWith(replacement)) add(replacement, 0);
  for (let at = 0; at < text.length; at++) add(text[at] === " " ? replacement : text[at], at);
  return word;
}

/** Whether the steps of a pre-tokenizer are read here. */
export function hasMetaspace(steps: readonly Record<string, Json>[]): boolean {
  return steps.some(({ type }) => type === "Metaspace");
}

/**
 * What the steps of a pre-tokenizer say, as tokenizer.json has them.
 *
 * @throws {ClozeError} `input`, naming what is not read.
 */
export function readMetaspaceSteps(steps: readonly Record<string, Json>[]): MetaspaceOptions {
  const whitespace_split = steps.length > 1 && steps[0].type === "WhitespaceSplit";
  const metaspace = whitespace_split ? steps[1] : steps[0];
  if (steps.length !== (whitespace_split ? 2 : 1) || metaspace.type !== "Metaspace") {
    const found = steps.map(({ type }) => typeof type === "string" ? type.slice(0, 40) : shown(type)).join(", ");
    throw refusal("pre_tokenizer", found, '"Metaspace", alone or behind "WhitespaceSplit"');
  }
  return { whitespace_split, ...readMetaspace(metaspace, "pre_tokenizer"), split: readSplit(metaspace) };
}

function readSplit({ split }: Record<string, Json>): boolean {
  return split === undefined || split === null || boolean(split, "pre_tokenizer.split");
}

/** What `Metaspace` says, in the form of today or of older files (`add_prefix_space`). */
export function readMetaspace(
  json: Record<string, Json>,
  name: string,
): Pick<MetaspaceOptions, "replacement" | "prepend_scheme"> {
  const replacement = string(json.replacement, `${name}.replacement`);
  if (Array.from(replacement).length !== 1 || /[\p{White_Space}\p{M}]/u.test(replacement)) {
    throw refusal(`${name}.replacement`, replacement, "one character that is no white space");
  }
  let scheme = json.prepend_scheme ?? "always";
  if (!PREPEND_SCHEMES.includes(scheme)) {
    throw refusal(`${name}.prepend_scheme`, scheme, PREPEND_SCHEMES.join(", "));
  }
  const prefix = json.add_prefix_space;
  if (prefix !== undefined && prefix !== null && !boolean(prefix, `${name}.add_prefix_space`)) {
    if (json.prepend_scheme !== undefined && scheme !== "never") {
      throw new ClozeError("input", `its ${name}.add_prefix_space is false, but prepend_scheme is ${shown(scheme)}`);
    }
    scheme = "never";
  }
  return { replacement, prepend_scheme: scheme };
}
