/**
 * Text → words and added tokens: what stands between added tokens is cut into words. Used by the tokenizer and by the word
 * counter, so that neither sees a word where the other sees an added token.
 */

import { type AddedToken, AddedTokens, type Specials } from "./added_tokens.ts";
import { type NormalizerOptions, PreTokenizer, type Word } from "./pre_tokenizer.ts";
import { codePointAt, widthOf } from "./utf8.ts";
import { WordScanner, type WordSink } from "./word_scanner.ts";
import { EMPTY_HASH, nextHash } from "./word_table.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** An added token (`token` is its content) or a word, and how far its offsets are from those of the text. */
export interface TextPart {
  token: string | undefined;
  word: Word;
  at: number;
}

/** Takes words, and added tokens between them. */
export interface TextSink extends WordSink {
  /** An added token, by its content. */
  addedToken(content: string): void;
}

/** Cuts text at added tokens, and what is between them into words. */
export class TextScanner {
  readonly preTokenizer: PreTokenizer;
  readonly #scanner: WordScanner;
  /** Those that are found in the text as it stands, and those that are found in normalized text. */
  readonly #added: AddedTokens;
  readonly #normalizedAdded: AddedTokens;
  /** Whether a corpus may hold one. */
  readonly #corpusHasAdded: boolean;
  /** Scratch for text that comes as a string. */
  #utf8 = new Uint8Array(1 << 12);

  constructor(normalizer: NormalizerOptions, added_tokens: readonly AddedToken[]) {
    const preTokenizer = this.preTokenizer = new PreTokenizer(normalizer);
    this.#scanner = new WordScanner(normalizer);
    const { normalized = [], asItStands = [] } = Object.groupBy(
      added_tokens,
      (token) => token.normalized ? "normalized" : "asItStands",
    );
    this.#added = new AddedTokens(asItStands);
    this.#normalizedAdded = new AddedTokens(normalized, (content) => preTokenizer.normalize(content).text);
    this.#corpusHasAdded = this.#added.any("corpus") || this.#normalizedAdded.any("corpus");
  }

  /** Hands the words of a text and the added tokens in it to the sink. */
  scan(text: string, specials: Specials, sink: TextSink): void {
    if (this.#normalizedAdded.any(specials)) {
      for (const { token, word } of this.parts(text, specials)) {
        if (token !== undefined) sink.addedToken(token);
        else this.#hand(word.text, sink);
      }
      return;
    }
    if (!this.#added.any(specials)) return this.#scanWords(text, sink);
    for (const part of this.#added.split(text, specials)) {
      if (part.added) sink.addedToken(part.token);
      else this.#scanWords(part.text, sink);
    }
  }

  /** The same for a part of a corpus, which is whole UTF-8: `bytes[from..to)`. */
  scanUtf8(bytes: Uint8Array, from: number, to: number, sink: TextSink): void {
    if (this.mayHoldAdded(bytes, from, to)) return this.scan(decoder.decode(bytes.slice(from, to)), "corpus", sink);
    this.#scanner.scan(bytes, from, to, sink);
  }

  /** The same for text in which there is no added token. */
  scanWords(bytes: Uint8Array, from: number, to: number, sink: WordSink): void {
    this.#scanner.scan(bytes, from, to, sink);
  }

  /** Whether there may be an added token in a part of a corpus. */
  mayHoldAdded(bytes: Uint8Array, from: number, to: number): boolean {
    if (!this.#corpusHasAdded) return false;
    if (this.#normalizedAdded.any("corpus")) return true;
    return this.#added.mayBeIn(decoder.decode(bytes.slice(from, to)), "corpus");
  }

  #scanWords(text: string, sink: WordSink): void {
    const length = this.#encode(text); // before its buffer is looked at: that may be a new one
    this.#scanner.scan(this.#utf8, 0, length, sink);
  }

  /** Hands on a word that is normalized already. */
  #hand(word: string, sink: WordSink): void {
    const length = this.#encode(word);
    let hash = EMPTY_HASH;
    for (let i = 0; i < length; i += widthOf(this.#utf8[i])) hash = nextHash(hash, codePointAt(this.#utf8, i));
    sink.word(this.#utf8, 0, length, hash);
  }

  /** Puts the text into the scratch buffer and returns its length there. */
  #encode(text: string): number {
    if (3 * text.length > this.#utf8.length) this.#utf8 = new Uint8Array(3 * text.length);
    return encoder.encodeInto(text, this.#utf8).written;
  }

  /** The words of a text and the added tokens in it, with their offsets: for people, slower than `scan`. */
  *parts(text: string, specials: Specials): Generator<TextPart> {
    for (const part of this.#added.split(text, specials)) {
      if (part.added) {
        yield { token: part.token, word: { text: part.text, starts: [0], ends: [part.text.length] }, at: part.at };
        continue;
      }
      const normalized = this.preTokenizer.normalize(part.text);
      for (const { added, token, at, text } of this.#normalizedAdded.split(normalized.text, specials)) {
        const to = at + text.length;
        if (added) {
          const starts = normalized.starts.slice(at, to), ends = normalized.ends.slice(at, to);
          yield { token, word: { text, starts, ends }, at: part.at };
          continue;
        }
        for (const word of this.preTokenizer.split(normalized, at, to)) yield { token: undefined, word, at: part.at };
      }
    }
  }
}
