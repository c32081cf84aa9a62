/** Hugging Face's `BertTokenizerFast`: BERT's normalizer, WordPiece, and BERT's special tokens. Used through `Tokenizer`. */

import { ClozeError } from "../../config/cloze_error.ts";
import { type AddedToken, BERT_NAMES, SPECIAL, SPECIAL_TOKENS } from "../added_tokens.ts";
import { IdBuffer } from "../id_buffer.ts";
import { bertTemplate } from "../template.ts";
import { Tokenizer } from "../tokenizer.ts";
import type { WordPieceData } from "../tokenizer_data.ts";
import { BertSplitter } from "./bert_splitter.ts";
import { DEFAULT_NORMALIZER, type NormalizerOptions, PreTokenizer } from "./pre_tokenizer.ts";
import { CONTINUING, WordPieceSpelling } from "./spelling.ts";
import { WordPiece } from "./word_piece.ts";

/** How a tokenizer differs from the default, which is safe for Korean. */
export interface WordPieceOptions {
  /** How text is normalized, where that is not the default. */
  normalizer?: Partial<NormalizerOptions>;
  /** Longer words become `[UNK]`. By default 100, as in Hugging Face; Google has 200. */
  max_input_chars_per_word?: number;
  /** Tokens that are found before the text is split. By default BERT's special ones. */
  added_tokens?: readonly AddedToken[];
  /** How many tokens, from the first on, words are made of; the others are added tokens only. By default all. */
  pieces?: number;
  /** Whether `decode` takes out the spaces before English punctuation. By default it does, as Hugging Face does. */
  cleanup?: boolean;
  /** The id of a token, where it is known without a look at the vocabulary; no token may then occur twice. */
  idOf?: (token: string) => number | undefined;
  /** What whoever uses it should know: sentences for people. */
  notes?: readonly string[];
}

const SPACE = 32, TAB = 9, RETURN = 13;

/** A WordPiece tokenizer with BERT's special tokens. */
export class WordPieceTokenizer extends Tokenizer {
  /** How text is normalized, where that is not the default. */
  readonly normalizer: NormalizerOptions;
  /** Longer words become `[UNK]`. */
  readonly max_input_chars_per_word: number;
  /** Whether `decode` takes out the spaces before English punctuation. */
  readonly cleanup: boolean;
  readonly #wordPiece: WordPiece;

  /**
   * A tokenizer with these tokens, by their ids.
   *
   * @throws {ClozeError} `input` if a special token is missing or a token occurs twice.
   */
  constructor(vocabulary: readonly string[], options: WordPieceOptions = {}) {
    const normalizer = { ...DEFAULT_NORMALIZER, ...options.normalizer };
    const { max_input_chars_per_word = 100, cleanup = true, pieces = vocabulary.length } = options;
    const own = pieces === vocabulary.length ? vocabulary : vocabulary.slice(0, pieces);
    const model = new WordPiece(own, vocabulary.indexOf(BERT_NAMES.unk), max_input_chars_per_word, CONTINUING);
    super({
      vocabulary,
      idOf: options.idOf,
      pieces,
      names: BERT_NAMES,
      added_tokens: options.added_tokens ?? SPECIAL_TOKENS.map((content) => ({ content, ...SPECIAL })),
      splitter: new BertSplitter(normalizer),
      model,
      spelling: new WordPieceSpelling(cleanup),
      template: ({ cls, sep }) => bertTemplate(cls, sep),
      notes: options.notes,
    });
    this.normalizer = normalizer;
    this.max_input_chars_per_word = max_input_chars_per_word;
    this.cleanup = cleanup;
    this.#wordPiece = model;
  }

  /** What it is written to files from. */
  get data(): WordPieceData {
    const { vocabulary, normalizer, max_input_chars_per_word, added_tokens, pieces, cleanup } = this;
    return { vocabulary, normalizer, max_input_chars_per_word, added_tokens, pieces, cleanup };
  }

  /** Whether text is made lower-case. */
  get lowercases(): boolean {
    return this.normalizer.lowercase;
  }

  /** Whether white space is part of tokens. */
  get isSpaced(): boolean {
    return false;
  }

  /** A token by its name, a piece inside a word as well, or a text. */
  wordIds(words: string): Int32Array {
    const known = this.idOf(words);
    return known === undefined || this.isSpecial(known) ? this.encode(words).ids : Int32Array.of(known);
  }

  /** Most characters of a word that has pieces. */
  get longestWord(): number {
    return this.max_input_chars_per_word;
  }

  /**
   * The same tokenizer with more tokens: pieces of words, and behind them special ones.
   *
   * @throws {ClozeError} `input` if an added token would become a piece, and words would be cut otherwise than before.
   */
  extended(tokens: readonly string[], special: readonly string[] = []): WordPieceTokenizer {
    const { vocabulary, data } = this;
    // A file numbers its pieces before all that is added: what was added before new pieces becomes a piece as well.
    const outside = tokens.length === 0
      ? []
      : this.added_tokens.filter(({ content }) => this.idOf(content)! >= this.pieces && this.#isPiece(content));
    if (outside.length > 0) {
      const [{ content }] = outside;
      throw new ClozeError("input", `the added token ${JSON.stringify(content)} would become a piece of other words`, {
        hint: "extend the model's vocabulary before tokens are added to it",
      });
    }
    return new WordPieceTokenizer([...vocabulary, ...tokens, ...special], {
      ...data,
      notes: this.notes,
      pieces: tokens.length === 0 ? this.pieces : vocabulary.length + tokens.length,
      added_tokens: [...this.added_tokens, ...special.map((content) => ({ content, ...SPECIAL }))],
    });
  }

  /** Whether an added token could be found in a word as well, in which it is not found as it is. */
  #isPiece(content: string): boolean {
    const { normalized = false, single_word } = this.added_tokens.find((token) => token.content === content)!;
    const words = new PreTokenizer(this.normalizer).words(content);
    return (single_word || !normalized) && words.length === 1 && words[0].text === content;
  }

  /** The same tokenizer with more special tokens. */
  withSpecial(special: readonly string[]): WordPieceTokenizer {
    return this.extended([], special);
  }

  /** Whether a text with this character loses nothing. */
  canWrite(character: string): boolean {
    return this.idOf(character) !== undefined || this.idOf(CONTINUING + character) !== undefined;
  }

  /** The words of a text, as pieces are looked for in them. */
  words(text: string): string[] {
    return this.corpusWords(text);
  }

  /** White space separates words for every normalizer of BERT, so that each eojeol can be encoded on its own. */
  protected encodeEojeols(bytes: Uint8Array, from: number, to: number, ids: IdBuffer, starts: number[]): void {
    for (let at = from; at < to;) {
      const length = spaceAt(bytes, at);
      if (length > 0) {
        at += length;
        continue;
      }
      let end = at + 1;
      while (end < to && spaceAt(bytes, end) === 0) end++;
      const before = ids.length;
      this.encodeWords(bytes, at, end, ids);
      if (ids.length > before) starts.push(before);
      at = end;
    }
  }

  /** The ids of the pieces that a token, which need not be in the vocabulary, is made of. */
  piecesOf(token: string): Int32Array {
    const inside = token.startsWith(CONTINUING) && token !== CONTINUING;
    const ids = new IdBuffer();
    const length = this.putUtf8(inside ? token.slice(CONTINUING.length) : token);
    this.#wordPiece.match(this.utf8, 0, length, ids, undefined, inside);
    return ids.view();
  }
}

/** Bytes of the white space at that place; 0 if there is none. Beside ASCII it knows U+3000, the ideographic space. */
function spaceAt(bytes: Uint8Array, at: number): number {
  const byte = bytes[at];
  if (byte === SPACE || byte === TAB || byte === RETURN) return 1;
  return byte === 0xE3 && bytes[at + 1] === 0x80 && bytes[at + 2] === 0x80 ? 3 : 0;
}
