/**
 * Text ↔ token ids, as Hugging Face's `BertTokenizerFast` does it. Knows no corpus and no batch. Used by `data/`,
 * `inference/` and the commands.
 */

import { ClozeError } from "../config/cloze_error.ts";
import { type AddedToken, SPECIAL, SPECIAL_TOKENS, type Specials } from "./added_tokens.ts";
import { IdBuffer } from "./id_buffer.ts";
import { DEFAULT_NORMALIZER, type NormalizerOptions, type Word } from "./pre_tokenizer.ts";
import { TextScanner, type TextSink } from "./text_scanner.ts";
import { widthOf } from "./utf8.ts";
import { WordPiece } from "./word_piece.ts";

export { SPECIAL_TOKENS } from "./added_tokens.ts";

/** How a tokenizer differs from the default, which is safe for Korean. */
export interface TokenizerOptions {
  normalizer?: Partial<NormalizerOptions>;
  /** Longer words become `[UNK]`. By default 100, as in Hugging Face; Google has 200. */
  max_input_chars_per_word?: number;
  /** Tokens that are found before the text is split. By default BERT's special ones. */
  added_tokens?: readonly AddedToken[];
  /** How many tokens, from the first on, words are made of; the others are added tokens only. By default all. */
  pieces?: number;
  /** Whether `decode` takes out the spaces before English punctuation. By default it does, as Hugging Face does. */
  cleanup?: boolean;
  /** What whoever uses it should know: sentences for people. */
  notes?: readonly string[];
}

/** Ids with where they came from. */
export interface Encoding {
  ids: Int32Array;
  /** 1 for tokens of a pair's second text, with its `[SEP]`. */
  type_ids: number[];
  /** UTF-16 ranges in the text, end exclusive; 0, 0 for tokens that are not in it. */
  offsets: [number, number][];
  /** The word that each piece belongs to; `null` for tokens that are not in the text. */
  words: (number | null)[];
  /** 1 for tokens that are not in the text: `[CLS]` and `[SEP]`. */
  special_tokens_mask: number[];
}

/** Ids of the special tokens. */
export interface SpecialIds {
  pad: number;
  unk: number;
  cls: number;
  sep: number;
  mask: number;
}

/** What a {@linkcode Tokenizer} is made from. */
export interface TokenizerData {
  vocabulary: readonly string[];
  normalizer: NormalizerOptions;
  max_input_chars_per_word: number;
  added_tokens: readonly AddedToken[];
  pieces: number;
  cleanup: boolean;
}

const CONTINUING = "##";
const encoder = new TextEncoder();

/** Takes words and appends their pieces; of an added token it appends the id. */
class PieceSink implements TextSink {
  readonly #wordPiece: WordPiece;
  readonly #ids: ReadonlyMap<string, number>;
  out = new IdBuffer();

  constructor(wordPiece: WordPiece, ids: ReadonlyMap<string, number>) {
    this.#wordPiece = wordPiece;
    this.#ids = ids;
  }

  addedToken(content: string): void {
    this.out.push(this.#ids.get(content)!);
  }

  word(bytes: Uint8Array, start: number, end: number, hash: number): void {
    this.#wordPiece.append(bytes, start, end, hash, this.out);
  }
}

/** A WordPiece tokenizer with BERT's special tokens. */
export class Tokenizer {
  /** Token of each id. */
  readonly vocabulary: readonly string[];
  readonly special: Readonly<SpecialIds>;
  readonly normalizer: NormalizerOptions;
  readonly max_input_chars_per_word: number;
  readonly cleanup: boolean;
  /** Tokens that are found before the text is split, special or not. */
  readonly added_tokens: readonly AddedToken[];
  /** How many tokens, from the first on, words are made of; the others are added tokens only. */
  readonly pieces: number;
  /** What whoever uses it should know: sentences for people. */
  readonly notes: readonly string[];
  readonly #ids: Map<string, number>;
  readonly #specialIds: Set<number>;
  readonly #unusedIds = new Set<number>();
  /** What added tokens are in decoded text, where that is not their content: as Hugging Face does, normalized. */
  readonly #decoded = new Map<number, string>();
  readonly #wordPiece: WordPiece;
  readonly #scanner: TextScanner;
  readonly #sink: PieceSink;
  /** Scratch for a word that comes as a string, and for ids. */
  #utf8 = new Uint8Array(1 << 12);
  readonly #scratch = new IdBuffer();

  /** @throws {ClozeError} `input` if a special token is missing or a token occurs twice. */
  constructor(vocabulary: readonly string[], options: TokenizerOptions = {}) {
    this.vocabulary = vocabulary;
    this.#ids = new Map(vocabulary.map((token, id) => [token, id]));
    if (this.#ids.size !== vocabulary.length) {
      const twice = vocabulary.find((token, id) => this.#ids.get(token) !== id);
      throw new ClozeError("input", `the vocabulary has the token ${JSON.stringify(twice)} twice`);
    }
    const [pad, unk, cls, sep, mask] = SPECIAL_TOKENS.map((token) => {
      const id = this.#ids.get(token);
      if (id === undefined) {
        throw new ClozeError("input", `the vocabulary of ${vocabulary.length} tokens lacks ${token}`, {
          hint: `a BERT vocabulary has ${SPECIAL_TOKENS.join(" ")}`,
        });
      }
      return id;
    });
    this.special = { pad, unk, cls, sep, mask };
    this.normalizer = { ...DEFAULT_NORMALIZER, ...options.normalizer };
    this.max_input_chars_per_word = options.max_input_chars_per_word ?? 100;
    this.cleanup = options.cleanup ?? true;
    this.pieces = options.pieces ?? vocabulary.length;
    this.notes = options.notes ?? [];
    this.added_tokens = options.added_tokens ?? SPECIAL_TOKENS.map((content) => ({ content, ...SPECIAL }));
    this.#specialIds = new Set([pad, unk, cls, sep, mask]);
    for (const { content, special } of this.added_tokens) {
      const id = this.#ids.get(content);
      if (id === undefined) {
        throw new ClozeError("input", `the added token ${JSON.stringify(content)} is not in the vocabulary`);
      }
      if (special) this.#specialIds.add(id);
    }
    vocabulary.forEach((token, id) => /^\[unused\d+\]$/.test(token) && this.#unusedIds.add(id));
    this.#unusedIds.forEach((id) => this.#specialIds.add(id));
    const pieces = this.pieces === vocabulary.length ? vocabulary : vocabulary.slice(0, this.pieces);
    this.#wordPiece = new WordPiece(pieces, unk, this.max_input_chars_per_word, CONTINUING);
    this.#scanner = new TextScanner(this.normalizer, this.added_tokens);
    for (const { content, normalized } of this.added_tokens) {
      if (normalized) this.#decoded.set(this.#ids.get(content)!, this.#scanner.preTokenizer.normalize(content).text);
    }
    this.#sink = new PieceSink(this.#wordPiece, this.#ids);
  }

  /** The tokenizer as plain data, which can be posted to another thread. */
  get data(): TokenizerData {
    const { vocabulary, normalizer, max_input_chars_per_word, added_tokens, pieces, cleanup } = this;
    return { vocabulary, normalizer, max_input_chars_per_word, added_tokens, pieces, cleanup };
  }

  /** The tokenizer that {@linkcode Tokenizer.data} was taken from. */
  static from(data: TokenizerData): Tokenizer {
    return new Tokenizer(data.vocabulary, data);
  }

  /**
   * The same tokenizer with more tokens: pieces of words, and behind them special ones.
   *
   * @throws {ClozeError} `input` if an added token would become a piece, and words would be cut otherwise than before.
   */
  extended(tokens: readonly string[], special: readonly string[] = []): Tokenizer {
    const { vocabulary, data } = this;
    // A file numbers its pieces before all that is added: what was added before new pieces becomes a piece as well.
    const outside = tokens.length === 0
      ? []
      : this.added_tokens.filter(({ content }) => this.#ids.get(content)! >= this.pieces && this.#isPiece(content));
    if (outside.length > 0) {
      const [{ content }] = outside;
      throw new ClozeError("input", `the added token ${JSON.stringify(content)} would become a piece of other words`, {
        hint: "extend the model's vocabulary before tokens are added to it",
      });
    }
    return new Tokenizer([...vocabulary, ...tokens, ...special], {
      ...data,
      notes: this.notes,
      pieces: tokens.length === 0 ? this.pieces : vocabulary.length + tokens.length,
      added_tokens: [...this.added_tokens, ...special.map((content) => ({ content, ...SPECIAL }))],
    });
  }

  /** Whether an added token could be found in a word as well, in which it is not found as it is. */
  #isPiece(content: string): boolean {
    const { normalized = false, single_word } = this.added_tokens.find((token) => token.content === content)!;
    const words = this.#scanner.preTokenizer.words(content);
    return (single_word || !normalized) && words.length === 1 && words[0].text === content;
  }

  /** Number of tokens. */
  get size(): number {
    return this.vocabulary.length;
  }

  /** Appends the ids of a text, without `[CLS]` and `[SEP]`. Added tokens are found in it, those that `specials` says. */
  encodeIds(text: string, out: number[], specials: Specials = "all"): void {
    const ids = this.#scratch;
    ids.truncate(0);
    this.#sink.out = ids;
    this.#scanner.scan(text, specials, this.#sink);
    for (let i = 0; i < ids.length; i++) out.push(ids.at(i));
  }

  /**
   * The same for a part of a corpus, `bytes[from..to)`, which is whole UTF-8: BERT's own special tokens are plain text in
   * it. The fastest way from a file to ids.
   */
  encodeUtf8(bytes: Uint8Array, from: number, to: number, out: IdBuffer): void {
    this.#sink.out = out;
    this.#scanner.scanUtf8(bytes, from, to, this.#sink);
  }

  /** Whether there may be an added token in a part of a corpus. */
  mayHoldAdded(bytes: Uint8Array, from: number, to: number): boolean {
    return this.#scanner.mayHoldAdded(bytes, from, to);
  }

  /** The same as `encodeUtf8` for text in which there is no added token. */
  encodeWords(bytes: Uint8Array, from: number, to: number, out: IdBuffer): void {
    this.#sink.out = out;
    this.#scanner.scanWords(bytes, from, to, this.#sink);
  }

  /** Appends the ids of one word, which is normalized already. */
  encodeWord(bytes: Uint8Array, start: number, end: number, out: IdBuffer): void {
    this.#wordPiece.match(bytes, start, end, out);
  }

  /**
   * Ids with where they came from. A literal special token in the text is that token, as in Hugging Face, unless `specials`
   * is `corpus`. With `template`, `[CLS]` and `[SEP]` stand around it, and around `pair` after it.
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
    if (template) add(this.special.cls, 0, [0, 0], null);
    (pair === undefined ? [text] : [text, pair]).forEach((text, type) => {
      this.#locate(text, specials, (id, offsets, word) => add(id, type, offsets, word));
      if (template) add(this.special.sep, type, [0, 0], null);
    });
    return { ids: ids.view(), ...encoding };
  }

  /** Calls `visit` with every piece of the text, its offsets and the number of its word. */
  #locate(
    text: string,
    specials: Specials,
    visit: (id: number, offsets: [number, number], word: number) => void,
  ): void {
    let words = 0;
    for (const { token, word, at } of this.#scanner.parts(text, specials)) {
      const number = words++;
      if (token === undefined) {
        this.#locateWord(word, (id, [start, end]) => visit(id, [at + start, at + end], number));
      } else visit(this.#ids.get(token)!, [at + word.starts[0], at + word.ends[word.ends.length - 1]], number);
    }
  }

  /** Calls `visit` with every piece of a word and its offsets. */
  #locateWord({ text, starts, ends }: Word, visit: (id: number, offsets: [number, number]) => void): void {
    const ids = new IdBuffer(), pieceEnds: number[] = [];
    const length = this.#encode(text);
    this.#wordPiece.match(this.#utf8, 0, length, ids, pieceEnds);
    let unit = 0, byte = 0;
    ids.view().forEach((id, piece) => {
      const start = unit;
      for (; byte < pieceEnds[piece]; byte += widthOf(this.#utf8[byte])) unit += this.#utf8[byte] < 0xF0 ? 1 : 2;
      visit(id, [starts[start], ends[unit - 1]]);
    });
  }

  /** Puts a word into the scratch buffer and returns its length there. */
  #encode(text: string): number {
    if (3 * text.length > this.#utf8.length) this.#utf8 = new Uint8Array(3 * text.length);
    return encoder.encodeInto(text, this.#utf8).written;
  }

  /**
   * Text of the ids: pieces are joined and, with `cleanup`, the spaces before English punctuation taken out again, as
   * Hugging Face's WordPiece decoder does.
   */
  decode(ids: ArrayLike<number>, options: { skipSpecial?: boolean } = {}): string {
    let text = "";
    for (let i = 0; i < ids.length; i++) {
      const token = this.#decoded.get(ids[i]) ?? this.tokenOf(ids[i]);
      if (options.skipSpecial && this.isSpecial(ids[i])) continue;
      if (text !== "" && token.startsWith(CONTINUING)) text += token.slice(CONTINUING.length);
      else {
        const spaced = text === "" ? token : ` ${token}`;
        text += this.cleanup ? cleanUp(spaced) : spaced;
      }
    }
    return text;
  }

  /** @throws {ClozeError} `input` if there is no such id. */
  tokenOf(id: number): string {
    const token = this.vocabulary[id];
    if (token === undefined) throw new ClozeError("input", `there is no token ${id}: the vocabulary has ${this.size}`);
    return token;
  }

  /** The id of a token, if the vocabulary has it. */
  idOf(token: string): number | undefined {
    return this.#ids.get(token);
  }

  /** The words of a part of a corpus, between its added tokens. */
  words(text: string): string[] {
    const parts = [...this.#scanner.parts(text, "corpus")];
    return parts.filter(({ token }) => token === undefined).map(({ word }) => word.text);
  }

  /** The ids of the pieces that a token, which need not be in the vocabulary, is made of. */
  piecesOf(token: string): Int32Array {
    const inside = token.startsWith(CONTINUING) && token !== CONTINUING;
    const ids = new IdBuffer();
    const length = this.#encode(inside ? token.slice(CONTINUING.length) : token);
    this.#wordPiece.match(this.#utf8, 0, length, ids, undefined, inside);
    return ids.view();
  }

  /** Whether it stands for no text: `[PAD]`, `[UNK]`, `[CLS]`, `[SEP]`, `[MASK]`, other special tokens, placeholders. */
  isSpecial(id: number): boolean {
    return this.#specialIds.has(id);
  }

  /** Whether it is a placeholder, `[unused0]` and so on, which no text is encoded as. */
  isUnused(id: number): boolean {
    return this.#unusedIds.has(id);
  }

  /** Whether it is a piece inside a word. */
  isContinuation(id: number): boolean {
    return this.vocabulary[id]?.startsWith(CONTINUING) ?? false;
  }
}

const CLEAN_UPS = [
  [" .", "."],
  [" ?", "?"],
  [" !", "!"],
  [" ,", ","],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [" do not", " don't"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
] as const;

function cleanUp(token: string): string {
  for (const [from, to] of CLEAN_UPS) token = token.replaceAll(from, to);
  return token;
}
