/**
 * Text ↔ token ids: one interface over every model. A tokenizer is made of parts, as Hugging Face's are: added tokens, a
 * splitter (normalizer and pre-tokenizer), a model that cuts words, a spelling (decoder) and a template of special tokens.
 * Knows no corpus and no batch. Used by `data/`, `inference/` and the commands.
 */

import { ClozeError } from "../config/cloze_error.ts";
import type { AddedToken, SpecialNames, Specials } from "./added_tokens.ts";
import type { TokenizerData } from "./tokenizer_data.ts";
import type { AlignedText } from "./aligned_text.ts";
import { IdBuffer } from "./id_buffer.ts";
import type { Spelling } from "./spelling.ts";
import type { SubwordModel } from "./subword_model.ts";
import type { Template } from "./template.ts";
import { TextScanner, type TextSink, type WordSplitter } from "./text_scanner.ts";
import { widthOf } from "./utf8.ts";
import { WordCache } from "./word_cache.ts";

/** Ids with where they came from. */
export interface Encoding {
  /** `[T]`, special tokens included. */
  ids: Int32Array;
  /** 1 for tokens of a pair's second text and the special token behind it, where the template says so. */
  type_ids: number[];
  /** UTF-16 ranges in the text, end exclusive; 0, 0 for tokens that are not in it. */
  offsets: [number, number][];
  /** The word that each piece belongs to; `null` for tokens that are not in the text. */
  words: (number | null)[];
  /** 1 for tokens that are not in the text. */
  special_tokens_mask: number[];
}

/** Ids of the special tokens that a masked language model needs, by what they do. */
export interface SpecialIds {
  /** Fills a sequence up. */
  pad: number;
  /** Stands for what has no token. */
  unk: number;
  /** Begins a text. */
  cls: number;
  /** Ends one. */
  sep: number;
  /** Hides a token. */
  mask: number;
}

/** The id of a token, if there is such a token. */
export type IdOf = (token: string) => number | undefined;

/** What a {@linkcode Tokenizer} is made of. */
export interface TokenizerParts {
  /** Token of each id. */
  vocabulary: readonly string[];
  /** The id of a token, if what the vocabulary was read from knows it; no token may then occur twice. */
  idOf?: IdOf | undefined;
  /** How many tokens, from the first on, words are made of; the others are added tokens only. */
  pieces: number;
  /** Tokens that are found before the text is split. */
  added_tokens: readonly AddedToken[];
  /** What the special tokens are called. */
  names: SpecialNames;
  splitter: WordSplitter;
  model: SubwordModel;
  spelling: Spelling;
  template: Template | ((special: SpecialIds) => Template);
  /** What whoever uses it should know: sentences for people. */
  notes?: readonly string[] | undefined;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** What separates eojeols, beside a line's end. */
const EOJEOL_SPACE = /[ \t\r\u3000]/;

/** Takes words and appends their pieces; of an added token it appends the id. */
class PieceSink implements TextSink {
  readonly #words: WordCache;
  readonly #idOf: IdOf;
  out = new IdBuffer();

  constructor(model: SubwordModel, idOf: IdOf) {
    this.#words = new WordCache(model);
    this.#idOf = idOf;
  }

  addedToken(content: string): void {
    this.out.push(this.#idOf(content)!);
  }

  word(bytes: Uint8Array, start: number, end: number, hash: number): void {
    this.#words.append(bytes, start, end, hash, this.out);
  }
}

/** A tokenizer with the special tokens that a masked language model needs. */
export abstract class Tokenizer {
  /** Token of each id. */
  readonly vocabulary: readonly string[];
  /** Ids of the special tokens. */
  readonly special: Readonly<SpecialIds>;
  /** What the special tokens are called. */
  readonly names: Readonly<SpecialNames>;
  /** Tokens that are found before the text is split, special or not. */
  readonly added_tokens: readonly AddedToken[];
  /** How many tokens, from the first on, words are made of; the others are added tokens only. */
  readonly pieces: number;
  /** What whoever uses it should know: sentences for people. */
  readonly notes: readonly string[];
  readonly #idOf: IdOf;
  readonly #specialIds: Set<number>;
  /** What added tokens are in decoded text, where that is not their content: as Hugging Face does, normalized. */
  readonly #decoded = new Map<number, string>();
  readonly #model: SubwordModel;
  readonly #spelling: Spelling;
  readonly #template: Template;
  /** Finds the words of a text. */
  readonly #scanner: TextScanner;
  readonly #sink: PieceSink;
  /** Scratch for a word that comes as a string, and for ids. */
  #utf8 = new Uint8Array(1 << 12);
  readonly #scratch = new IdBuffer();

  /**
   * A tokenizer of parts.
   *
   * @throws {ClozeError} `input` if a special token is missing or a token occurs twice.
   */
  constructor(parts: TokenizerParts) {
    const { vocabulary, names, added_tokens, splitter } = parts;
    this.vocabulary = vocabulary;
    this.#idOf = parts.idOf ?? idsOf(vocabulary);
    const idOf = (token: string) => {
      const id = this.#idOf(token);
      if (id === undefined) {
        throw new ClozeError("input", `the vocabulary of ${vocabulary.length} tokens lacks ${token}`, {
          hint: `a masked language model needs ${Object.values(names).join(" ")}`,
        });
      }
      return id;
    };
    this.special = {
      pad: idOf(names.pad),
      unk: idOf(names.unk),
      cls: idOf(names.cls),
      sep: idOf(names.sep),
      mask: idOf(names.mask),
    };
    this.names = names;
    this.pieces = parts.pieces;
    this.notes = parts.notes ?? [];
    this.added_tokens = added_tokens;
    this.#specialIds = new Set(Object.values(this.special));
    for (const { content, special } of added_tokens) {
      const id = this.#idOf(content);
      if (id === undefined) {
        throw new ClozeError("input", `the added token ${JSON.stringify(content)} is not in the vocabulary`);
      }
      if (special) this.#specialIds.add(id);
    }
    for (let id = 0; id < vocabulary.length; id++) {
      const token = vocabulary[id];
      if (token.startsWith("[unused") && /^\[unused\d+\]$/.test(token)) this.#specialIds.add(id);
    }
    this.#model = parts.model;
    this.#spelling = parts.spelling;
    this.#template = typeof parts.template === "function" ? parts.template(this.special) : parts.template;
    this.#scanner = new TextScanner(splitter, added_tokens, new Set(Object.values(names)));
    for (const { content, normalized } of added_tokens) {
      if (normalized) this.#decoded.set(this.#idOf(content)!, splitter.normalize(content).text);
    }
    this.#sink = new PieceSink(this.#model, this.#idOf);
  }

  /** The tokenizer as plain data, which can be posted to another thread; see `tokenizerFrom`. */
  abstract get data(): TokenizerData;

  /** Whether text is lowercased. */
  abstract get lowercases(): boolean;

  /** Whether tokens have the white space before them, so that only the text says where words begin. */
  abstract get isSpaced(): boolean;

  /** The ids of words as they stand behind others, or at the beginning of a text. */
  abstract wordIds(words: string, isFirst: boolean): Int32Array;

  /** The same tokenizer with more special tokens, which have the next ids. */
  abstract withSpecial(special: readonly string[]): Tokenizer;

  /** Characters of the longest word that does not become unknown for its length alone. */
  abstract get longestWord(): number;

  /** Whether there is a token for a character, alone or inside a word. */
  abstract canWrite(character: string): boolean;

  /** The words of a part of a corpus, between its added tokens, as a person would write them. */
  abstract words(text: string): string[];

  /** Appends the ids of a sentence without added tokens, and to `starts` the places of those with which an eojeol begins. */
  protected abstract encodeEojeols(
    bytes: Uint8Array,
    from: number,
    to: number,
    out: IdBuffer,
    starts: number[],
  ): void;

  /** Number of tokens. */
  get size(): number {
    return this.vocabulary.length;
  }

  /** Whether the mask token takes the white space before it, so that what fills it says whether there is any. */
  get maskTakesSpace(): boolean {
    return this.added_tokens.some(({ content, lstrip }) => content === this.names.mask && lstrip);
  }

  /** Appends the ids of a text, without special tokens around it. Added tokens are found in it, those that `specials` says. */
  encodeIds(text: string, out: number[], specials: Specials = "all"): void {
    const ids = this.#scratch;
    ids.truncate(0);
    this.#sink.out = ids;
    this.#scanner.scan(text, specials, this.#sink);
    for (let i = 0; i < ids.length; i++) out.push(ids.at(i));
  }

  /**
   * The same for a part of a corpus, `bytes[from..to)`, which is whole UTF-8: the tokenizer's own special tokens are plain
   * text in it. The fastest way from a file to ids.
   */
  encodeUtf8(bytes: Uint8Array, from: number, to: number, out: IdBuffer): void {
    this.#sink.out = out;
    this.#scanner.scanUtf8(bytes, from, to, this.#sink);
  }

  /** The same; appends to `starts` the places in `out` of the tokens with which an eojeol, a word between white space, begins. */
  encodeSentence(bytes: Uint8Array, from: number, to: number, out: IdBuffer, starts: number[]): void {
    if (this.#scanner.mayHoldAdded(bytes, from, to)) this.encodeWhole(bytes, from, to, out, starts);
    else this.encodeEojeols(bytes, from, to, out, starts);
  }

  /** An added token may hold white space, or take what is beside it: then an eojeol begins where white space is between pieces. */
  protected encodeWhole(bytes: Uint8Array, from: number, to: number, out: IdBuffer, starts: number[]): void {
    const text = decoder.decode(bytes.slice(from, to));
    const encoding = this.encode(text, { specials: "corpus" });
    const first = out.length;
    let last = -1; // where the piece before ended
    encoding.offsets.forEach(([start, end], i) => {
      const piece = text.slice(start, end);
      const begins = end - piece.trimStart().length, ends = start + piece.trimEnd().length;
      const begun = last < 0 || (piece.trim() !== "" && EOJEOL_SPACE.test(text.slice(last, begins)));
      out.push(encoding.ids[i]);
      if (begun) this.startEojeol(out, first, starts);
      last = Math.max(last, ends);
    });
  }

  /** Notes that an eojeol begins with the last token, of a sentence that begins at `first`. */
  protected startEojeol(out: IdBuffer, _first: number, starts: number[]): void {
    starts.push(out.length - 1);
  }

  /** The words of a part of a corpus, normalized, without its added tokens. */
  protected corpusWords(text: string): string[] {
    const parts = [...this.#scanner.parts(text, "corpus")];
    return parts.filter(({ token }) => token === undefined).map(({ word }) => word.text);
  }

  /** The same as `encodeUtf8` for text in which there is no added token. */
  protected encodeWords(bytes: Uint8Array, from: number, to: number, out: IdBuffer): void {
    this.#sink.out = out;
    this.#scanner.scanWords(bytes, from, to, this.#sink);
  }

  /** Appends the ids of one word, which is normalized already. */
  encodeWord(bytes: Uint8Array, start: number, end: number, out: IdBuffer): void {
    this.#model.match(bytes, start, end, out);
  }

  /**
   * Ids with where they came from. A literal special token in the text is that token, as in Hugging Face, unless `specials`
   * is `corpus`. With `template`, special tokens stand around it, and around `pair` after it.
   */
  encode(text: string, options: { specials?: Specials; template?: boolean; pair?: string } = {}): Encoding {
    const { specials = "all", template = false, pair } = options;
    const encoding = { type_ids: [], offsets: [], words: [], special_tokens_mask: [] } as Omit<Encoding, "ids">;
    const ids = new IdBuffer();
    const add = (id: number, type: number, offsets: [number, number], word: number | null) => {
      ids.push(id);
      encoding.type_ids.push(type);
      encoding.offsets.push(offsets);
      encoding.words.push(word);
      encoding.special_tokens_mask.push(word === null ? 1 : 0);
    };
    const { single, pair: both } = this.#template;
    for (const part of pair === undefined ? single : both) {
      if ("text" in part) {
        this.#locate(part.text === 0 ? text : pair!, specials, (id, offsets, word) => {
          add(id, part.type_id, offsets, word);
        });
      } else if (template) add(part.token, part.type_id, [0, 0], null);
    }
    return { ids: ids.view(), ...encoding };
  }

  /** Calls `visit` with every piece of the text, its offsets and the number of its word. */
  #locate(
    text: string,
    specials: Specials,
    visit: (id: number, offsets: [number, number], word: number) => void,
  ): void {
    const { trim } = this.#template;
    let words = 0, pieces = 0;
    const found = (id: number, offsets: [number, number], word: number, token = this.vocabulary[id]) => {
      const isFirst = pieces === 0 || offsets[0] === 0;
      visit(id, trim === undefined ? offsets : trimmed(token, offsets, text, isFirst && trim.add_prefix_space), word);
      pieces++;
    };
    for (const { token, word, at } of this.#scanner.parts(text, specials)) {
      const number = words++;
      if (token === undefined) {
        this.#locateWord(word, (id, [start, end]) => found(id, [at + start, at + end], number));
        continue;
      }
      const offsets: [number, number] = [at + word.starts[0], at + word.ends[word.ends.length - 1]];
      found(this.#idOf(token)!, offsets, number, word.text);
    }
  }

  /** Calls `visit` with every piece of a word and its offsets. A piece of a character has the character's. */
  #locateWord({ text, starts, ends }: AlignedText, visit: (id: number, offsets: [number, number]) => void): void {
    const ids = new IdBuffer(), pieceEnds: number[] = [];
    const length = this.putUtf8(text);
    this.#model.match(this.#utf8, 0, length, ids, pieceEnds);
    let unit = 0, byte = 0, from = 0;
    /** Goes to the character in which a byte lies; returns its first unit. */
    const unitAt = (at: number) => {
      for (; byte + widthOf(this.#utf8[byte]) <= at; byte += widthOf(this.#utf8[byte])) {
        unit += this.#utf8[byte] < 0xF0 ? 1 : 2;
      }
      return unit;
    };
    let place: [number, number] = [0, 0];
    ids.view().forEach((id, piece) => {
      const end = pieceEnds[piece];
      // One that ends where the one before it ends stands for a part of the same text, as a byte of it does.
      if (piece === 0 || end > from) place = [starts[unitAt(from)], ends[unitAt(Math.max(from, end - 1))]];
      visit(id, [...place]);
      from = end;
    });
  }

  /** Puts a word into the scratch buffer and returns its length there. */
  protected putUtf8(text: string): number {
    if (3 * text.length > this.#utf8.length) this.#utf8 = new Uint8Array(3 * text.length);
    return encoder.encodeInto(text, this.#utf8).written;
  }

  /** The scratch buffer. */
  protected get utf8(): Uint8Array {
    return this.#utf8;
  }

  /** Text of the ids, as Hugging Face's decoder has it. */
  decode(ids: ArrayLike<number>, options: { skipSpecial?: boolean } = {}): string {
    const tokens: string[] = [];
    for (let i = 0; i < ids.length; i++) {
      const content = this.tokenOf(ids[i]), token = this.#decoded.get(ids[i]) ?? content;
      // As in Hugging Face, one that normalizing changes is not known as special any more.
      if (!options.skipSpecial || !this.isSpecial(ids[i]) || token !== content) tokens.push(token);
    }
    return this.#spelling.decode(tokens);
  }

  /**
   * The token with an id.
   *
   * @throws {ClozeError} `input` if there is no such id.
   */
  tokenOf(id: number): string {
    const token = this.vocabulary[id];
    if (token === undefined) throw new ClozeError("input", `there is no token ${id}: the vocabulary has ${this.size}`);
    return token;
  }

  /** The id of a token, if the vocabulary has it. */
  idOf(token: string): number | undefined {
    return this.#idOf(token);
  }

  /** Whether it stands for no text: the special tokens, and placeholders (`[unused0]` and so on). */
  isSpecial(id: number): boolean {
    return this.#specialIds.has(id);
  }

  /** How many ids stand for no text. */
  get specialCount(): number {
    return this.#specialIds.size;
  }

  /** Whether a word begins with it, whatever stands before it; `true` outside the vocabulary. */
  startsWord(id: number): boolean {
    return id >= this.size || this.isSpecial(id) || this.#spelling.startsWord(this.vocabulary[id]);
  }

  /** Whether a new word begins behind it, whatever follows. */
  endsWord(id: number): boolean {
    return id >= this.size || this.isSpecial(id) || this.#spelling.endsWord(this.vocabulary[id]);
  }

  /** Whether it is nothing but white space, which belongs to the word behind it. */
  isSpace(id: number): boolean {
    return id < this.size && !this.isSpecial(id) && this.#spelling.isSpace(this.vocabulary[id]);
  }

  /** What it stands for, without its marks (`##`, `Ġ`, `▁`) and the white space beside it. */
  surface(id: number): string {
    return this.isSpecial(id) ? this.tokenOf(id) : this.#spelling.surface(this.tokenOf(id));
  }

  /** What it stands for as a person should see it alone: a piece inside a word may keep its mark. */
  shown(id: number): string {
    return this.isSpecial(id) ? this.tokenOf(id) : this.#spelling.shown(this.tokenOf(id));
  }

  /** A text, which the mask token stood behind, with a token or with words instead of the mask. */
  join(before: string, filling: number | string): string {
    if (typeof filling === "string") return this.#spelling.joinWords(before, filling);
    const token = this.tokenOf(filling);
    return this.isSpecial(filling) ? before + token : this.#spelling.join(before, token, !this.maskTakesSpace);
  }

  /** The text of ids of which one, at `blank`, is the mask token, as a person would write it. */
  blanked(ids: ArrayLike<number>, blank: number): string {
    return this.#spelling.blanked(Array.from(ids, (id) => this.tokenOf(id)), blank, !this.maskTakesSpace);
  }
}

/** The ids of a vocabulary's tokens. @throws {ClozeError} `input` if a token occurs twice. */
function idsOf(vocabulary: readonly string[]): IdOf {
  const ids = new Map<string, number>();
  for (let id = 0; id < vocabulary.length; id++) ids.set(vocabulary[id], id);
  if (ids.size !== vocabulary.length) {
    const twice = vocabulary.find((token, id) => ids.get(token) !== id);
    throw new ClozeError("input", `the vocabulary has the token ${JSON.stringify(twice)} twice`);
  }
  return (token) => ids.get(token);
}

/** Offsets without the white space that a byte-level token, or the text of an added token, has at its ends. */
function trimmed(
  token: string,
  [start, end]: [number, number],
  text: string,
  isPrefixed: boolean,
): [number, number] {
  const isSpace = (character: string) => character === "Ġ" || /\p{White_Space}/u.test(character);
  let leading = 0, trailing = 0;
  while (leading < token.length && isSpace(token[leading])) leading++;
  while (trailing < token.length && isSpace(token[token.length - 1 - trailing])) trailing++;
  if (leading > 0) {
    // A single one at the beginning is the space that was put there.
    if (isPrefixed && leading === 1) leading = 0;
    for (; leading > 0 && start < end; leading--) start += text.codePointAt(start)! < 0x10000 ? 1 : 2;
  }
  if (end < trailing) return [start, end];
  for (; trailing > 0 && end > start; trailing--) end -= /[\uDC00-\uDFFF]/.test(text[end - 1]) ? 2 : 1;
  return [start, end];
}
