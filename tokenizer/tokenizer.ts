/**
 * Text ↔ token ids, as Hugging Face's `BertTokenizerFast` does it. Knows no corpus and no batch. Used by `data/`,
 * `inference/` and the commands.
 */

import { ClozeError } from "../config/cloze_error.ts";
import { DEFAULT_NORMALIZER, type NormalizerOptions, PreTokenizer } from "./pre_tokenizer.ts";
import { IdBuffer } from "./id_buffer.ts";
import { widthOf } from "./utf8.ts";
import { WordPiece } from "./word_piece.ts";
import { WordScanner, type WordSink } from "./word_scanner.ts";

/** How a tokenizer differs from the default, which is safe for Korean. */
export interface TokenizerOptions {
  normalizer?: Partial<NormalizerOptions>;
  /** Longer words become `[UNK]`. */
  max_input_chars_per_word?: number;
}

/** Ids with where they came from. */
export interface Encoding {
  ids: Int32Array;
  /** UTF-16 ranges in the text, end exclusive. */
  offsets: [number, number][];
  /** The word that each piece belongs to; `null` for special tokens. */
  words: (number | null)[];
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
}

const CONTINUING = "##";
const encoder = new TextEncoder();

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
  readonly #ids: Map<string, number>;
  readonly #specialIds: Set<number>;
  readonly #preTokenizer: PreTokenizer;
  readonly #wordPiece: WordPiece;
  readonly #scanner: WordScanner;
  readonly #pieces: PieceSink;
  /** Scratch for text that comes as a string. */
  #utf8 = new Uint8Array(1 << 12);

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
    this.#specialIds = new Set([pad, unk, cls, sep, mask]);
    this.normalizer = { ...DEFAULT_NORMALIZER, ...options.normalizer };
    this.max_input_chars_per_word = options.max_input_chars_per_word ?? 100;
    this.#preTokenizer = new PreTokenizer(this.normalizer);
    this.#wordPiece = new WordPiece(vocabulary, unk, this.max_input_chars_per_word, CONTINUING);
    this.#scanner = new WordScanner(this.normalizer);
    this.#pieces = new PieceSink(this.#wordPiece);
  }

  /** The tokenizer as plain data, which can be posted to another thread. */
  get data(): TokenizerData {
    const { vocabulary, normalizer, max_input_chars_per_word } = this;
    return { vocabulary, normalizer, max_input_chars_per_word };
  }

  /** The tokenizer that {@linkcode Tokenizer.data} was taken from. */
  static from(data: TokenizerData): Tokenizer {
    return new Tokenizer(data.vocabulary, data);
  }

  /** Number of tokens. */
  get size(): number {
    return this.vocabulary.length;
  }

  /** Appends the ids of a text, without `[CLS]` and `[SEP]`; special tokens in it are plain text. */
  encodeIds(text: string, out: number[]): void {
    const ids = new IdBuffer();
    this.encodeUtf8(this.#utf8, 0, this.#encode(text), ids);
    for (const id of ids.view()) out.push(id);
  }

  /** The same for the text `bytes[from..to)`, which is whole UTF-8. The fastest way from a file to ids. */
  encodeUtf8(bytes: Uint8Array, from: number, to: number, out: IdBuffer): void {
    this.#pieces.out = out;
    this.#scanner.scan(bytes, from, to, this.#pieces);
  }

  /** Puts the text into the scratch buffer and returns its length there. */
  #encode(text: string): number {
    if (3 * text.length > this.#utf8.length) this.#utf8 = new Uint8Array(3 * text.length);
    return encoder.encodeInto(text, this.#utf8).written;
  }

  /**
   * Ids with offsets and words, without `[CLS]` and `[SEP]`. A literal special token in the text is plain text, unless
   * `specials` is `mask` (only `[MASK]` is special) or `all`.
   */
  encode(text: string, options: { specials?: "text" | "mask" | "all" } = {}): Encoding {
    const encoding = { ids: [] as number[], offsets: [] as [number, number][], words: [] as (number | null)[] };
    let words = 0;
    for (const { part, at, special } of this.#split(text, options.specials ?? "text")) {
      if (special !== undefined) {
        encoding.ids.push(special);
        encoding.offsets.push([at, at + part.length]);
        encoding.words.push(null);
        continue;
      }
      for (const word of this.#preTokenizer.words(part)) {
        const ids = new IdBuffer(), ends: number[] = [];
        const length = this.#encode(word.text);
        this.#wordPiece.match(this.#utf8, 0, length, ids, ends);
        let unit = 0, byte = 0;
        ids.view().forEach((id, piece) => {
          const start = unit;
          for (; byte < ends[piece]; byte += widthOf(this.#utf8[byte])) unit += this.#utf8[byte] < 0xF0 ? 1 : 2;
          encoding.ids.push(id);
          encoding.offsets.push([at + word.starts[start], at + word.ends[unit - 1]]);
          encoding.words.push(words);
        });
        words++;
      }
    }
    return { ...encoding, ids: Int32Array.from(encoding.ids) };
  }

  /** Cuts the text at special tokens. */
  *#split(text: string, specials: "text" | "mask" | "all"): Generator<{ part: string; at: number; special?: number }> {
    const pattern = { text: /$^/g, mask: /\[MASK\]/g, all: /\[(?:PAD|UNK|CLS|SEP|MASK)\]/g }[specials];
    let from = 0;
    for (const match of text.matchAll(pattern)) {
      if (match.index > from) yield { part: text.slice(from, match.index), at: from };
      yield { part: match[0], at: match.index, special: this.#ids.get(match[0])! };
      from = match.index + match[0].length;
    }
    if (from < text.length) yield { part: text.slice(from), at: from };
  }

  /**
   * Text of the ids: pieces are joined and the spaces before English punctuation taken out again, as Hugging Face's
   * WordPiece decoder with `cleanup` does.
   */
  decode(ids: ArrayLike<number>, options: { skipSpecial?: boolean } = {}): string {
    let text = "";
    for (let i = 0; i < ids.length; i++) {
      const token = this.tokenOf(ids[i]);
      if (options.skipSpecial && this.isSpecial(ids[i])) continue;
      if (text !== "" && token.startsWith(CONTINUING)) text += token.slice(CONTINUING.length);
      else text += cleanUp(text === "" ? token : ` ${token}`);
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

  /** Whether it is `[PAD]`, `[UNK]`, `[CLS]`, `[SEP]` or `[MASK]`. */
  isSpecial(id: number): boolean {
    return this.#specialIds.has(id);
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
