/**
 * Text ↔ token ids, as Hugging Face's `BertTokenizerFast` does it. Knows no corpus and no batch. Used by `data/`,
 * `inference/` and the commands.
 */

import { ClozeError } from "../config/cloze_error.ts";
import { type AddedToken, AddedTokens, type Specials } from "./added_tokens.ts";
import { IdBuffer } from "./id_buffer.ts";
import { DEFAULT_NORMALIZER, type NormalizerOptions, PreTokenizer, type Word } from "./pre_tokenizer.ts";
import { widthOf } from "./utf8.ts";
import { WordPiece } from "./word_piece.ts";
import { WordScanner, type WordSink } from "./word_scanner.ts";

/** How a tokenizer differs from the default, which is safe for Korean. */
export interface TokenizerOptions {
  normalizer?: Partial<NormalizerOptions>;
  /** Longer words become `[UNK]`. By default 100, as in Hugging Face; Google has 200. */
  max_input_chars_per_word?: number;
  /** Tokens that are found before the text is split, besides BERT's special ones. */
  added_tokens?: readonly AddedToken[];
  /** Whether `decode` takes out the spaces before English punctuation. By default it does, as Hugging Face does. */
  cleanup?: boolean;
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

/** BERT's special tokens, in the order in which a new vocabulary has them. */
export const SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] as const;

/** What a {@linkcode Tokenizer} is made from. */
export interface TokenizerData {
  vocabulary: readonly string[];
  normalizer: NormalizerOptions;
  max_input_chars_per_word: number;
  added_tokens: readonly AddedToken[];
  cleanup: boolean;
}

const CONTINUING = "##";
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Takes words and appends their pieces. */
class PieceSink implements WordSink {
  readonly #wordPiece: WordPiece;
  out = new IdBuffer();

  constructor(wordPiece: WordPiece) {
    this.#wordPiece = wordPiece;
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
  /** All of them: BERT's special ones and others. */
  readonly added_tokens: readonly AddedToken[];
  /** Those that are found in the text as it stands, and those that are found in normalized text. */
  readonly #added: AddedTokens;
  readonly #normalizedAdded: AddedTokens;
  readonly #ids: Map<string, number>;
  readonly #specialIds: Set<number>;
  readonly #unusedIds = new Set<number>();
  readonly #preTokenizer: PreTokenizer;
  readonly #wordPiece: WordPiece;
  readonly #scanner: WordScanner;
  readonly #pieces: PieceSink;
  /** Scratch for text that comes as a string, and for its ids. */
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
    this.added_tokens = withSpecials(options.added_tokens ?? []);
    for (const { content } of this.added_tokens) {
      if (this.#ids.has(content)) continue;
      throw new ClozeError("input", `the added token ${JSON.stringify(content)} is not in the vocabulary`);
    }
    this.#specialIds = new Set(
      this.added_tokens.filter((token) => token.special).map((token) => this.idOf(token.content)!),
    );
    vocabulary.forEach((token, id) => /^\[unused\d+\]$/.test(token) && this.#unusedIds.add(id));
    this.#unusedIds.forEach((id) => this.#specialIds.add(id));
    const preTokenizer = this.#preTokenizer = new PreTokenizer(this.normalizer);
    const { normalized = [], asItStands = [] } = Object.groupBy(
      this.added_tokens,
      (token) => token.normalized ? "normalized" : "asItStands",
    );
    this.#added = new AddedTokens(asItStands);
    this.#normalizedAdded = new AddedTokens(normalized, (content) => preTokenizer.normalize(content).text);
    this.#wordPiece = new WordPiece(vocabulary, unk, this.max_input_chars_per_word, CONTINUING);
    this.#scanner = new WordScanner(this.normalizer);
    this.#pieces = new PieceSink(this.#wordPiece);
  }

  /** The tokenizer as plain data, which can be posted to another thread. */
  get data(): TokenizerData {
    const { vocabulary, normalizer, max_input_chars_per_word, added_tokens, cleanup } = this;
    return { vocabulary, normalizer, max_input_chars_per_word, added_tokens, cleanup };
  }

  /** The tokenizer that {@linkcode Tokenizer.data} was taken from. */
  static from(data: TokenizerData): Tokenizer {
    return new Tokenizer(data.vocabulary, data);
  }

  /** Number of tokens. */
  get size(): number {
    return this.vocabulary.length;
  }

  /**
   * Appends the ids of a text, without `[CLS]` and `[SEP]`. Special tokens in it are plain text, unless `specials` says
   * otherwise.
   */
  encodeIds(text: string, out: number[], specials: Specials = "text"): void {
    const ids = this.#scratch;
    ids.truncate(0);
    this.#append(text, ids, specials);
    for (let i = 0; i < ids.length; i++) out.push(ids.at(i));
  }

  /** The same for the text `bytes[from..to)`, which is whole UTF-8. The fastest way from a file to ids. */
  encodeUtf8(bytes: Uint8Array, from: number, to: number, out: IdBuffer): void {
    if (this.#added.any("text") || this.#normalizedAdded.any("text")) {
      return this.#append(decoder.decode(bytes.slice(from, to)), out, "text");
    }
    this.#pieces.out = out;
    this.#scanner.scan(bytes, from, to, this.#pieces);
  }

  /** Appends the ids of one word, which is normalized already. */
  encodeWord(bytes: Uint8Array, start: number, end: number, out: IdBuffer): void {
    this.#wordPiece.match(bytes, start, end, out);
  }

  #append(text: string, out: IdBuffer, specials: Specials): void {
    if (this.#normalizedAdded.any(specials)) return this.#locate(text, specials, (id) => out.push(id));
    this.#pieces.out = out;
    if (!this.#added.any(specials)) return this.#scan(text);
    for (const part of this.#added.split(text, specials)) {
      if (part.added) out.push(this.#ids.get(part.token)!);
      else this.#scan(part.text);
    }
  }

  #scan(text: string): void {
    const length = this.#encode(text); // before its buffer is looked at: that may be a new one
    this.#scanner.scan(this.#utf8, 0, length, this.#pieces);
  }

  /** Puts the text into the scratch buffer and returns its length there. */
  #encode(text: string): number {
    if (3 * text.length > this.#utf8.length) this.#utf8 = new Uint8Array(3 * text.length);
    return encoder.encodeInto(text, this.#utf8).written;
  }

  /**
   * Ids with where they came from. A literal special token in the text is plain text, unless `specials` is `mask` (only
   * `[MASK]` is special) or `all`. With `template`, `[CLS]` and `[SEP]` stand around it, and around `pair` after it.
   */
  encode(text: string, options: { specials?: Specials; template?: boolean; pair?: string } = {}): Encoding {
    const { specials = "text", template = false, pair } = options;
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
    for (const part of this.#added.split(text, specials)) {
      if (part.added) {
        visit(this.#ids.get(part.token)!, [part.at, part.at + part.text.length], words++);
        continue;
      }
      const normalized = this.#preTokenizer.normalize(part.text);
      const { starts, ends } = normalized;
      for (const { added, token, at, text } of this.#normalizedAdded.split(normalized.text, specials)) {
        const to = at + text.length;
        if (added) visit(this.#ids.get(token)!, [part.at + starts[at], part.at + ends[to - 1]], words++);
        else {
          for (const word of this.#preTokenizer.split(normalized, at, to)) {
            this.#locateWord(word, (id, [start, end]) => visit(id, [part.at + start, part.at + end], words));
            words++;
          }
        }
      }
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

  /**
   * Text of the ids: pieces are joined and, with `cleanup`, the spaces before English punctuation taken out again, as
   * Hugging Face's WordPiece decoder does.
   */
  decode(ids: ArrayLike<number>, options: { skipSpecial?: boolean } = {}): string {
    let text = "";
    for (let i = 0; i < ids.length; i++) {
      const token = this.tokenOf(ids[i]);
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

  /** The words of a text, as the pre-tokenizer makes them. */
  words(text: string): string[] {
    return this.#preTokenizer.words(text).map((word) => word.text);
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

/** The added tokens with BERT's special ones among them. */
function withSpecials(added: readonly AddedToken[]): AddedToken[] {
  const plain = { special: true, lstrip: false, rstrip: false, single_word: false };
  const missing = SPECIAL_TOKENS.filter((content) => !added.some((token) => token.content === content));
  return [...missing.map((content) => ({ content, ...plain })), ...added];
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
