/**
 * Text → words and added tokens: what stands between added tokens is cut into words. Used by the tokenizer and by the word
 * counter, so that neither sees a word where the other sees an added token.
 */

import { type AddedToken, AddedTokens, type Specials } from "./added_tokens.ts";
import type { AlignedText } from "./aligned_text.ts";
import { codePointAt, widthOf } from "./utf8.ts";
import { EMPTY_HASH, nextHash } from "./word_table.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** An added token (`token` is its content) or a word, and how far its offsets are from those of the text. */
export interface TextPart {
  token: string | undefined;
  word: AlignedText;
  at: number;
}

/** What takes the words. `bytes` belongs to who calls it: it is good during the call only. */
export interface WordSink {
  /** A word: `bytes[start..end)`, and its hash (see `word_table.ts`). */
  word(bytes: Uint8Array, start: number, end: number, hash: number): void;
}

/** Text → words: a normalizer and a pre-tokenizer. Both ways give the same words. */
export interface WordSplitter {
  /** What the normalizer makes of a text. */
  normalize(text: string): AlignedText;
  /** The words of a normalized text, or of its part from `from` to `to`. `isFirst`: the part begins the whole text. */
  split(text: AlignedText, from: number, to: number, isFirst: boolean): AlignedText[];
  /** Normalizes `bytes[from..to)`, which is whole UTF-8, and hands its words to the sink: the hot path. */
  scan(bytes: Uint8Array, from: number, to: number, sink: WordSink, isFirst: boolean): void;
}

/** Takes words, and added tokens between them. */
export interface TextSink extends WordSink {
  /** An added token, by its content. */
  addedToken(content: string): void;
}

/** Cuts text at added tokens, and what is between them into words. */
export class TextScanner {
  readonly #splitter: WordSplitter;
  /** Those that are found in the text as it stands, and those that are found in normalized text. */
  readonly #added: AddedTokens;
  readonly #normalizedAdded: AddedTokens;
  /** Whether a corpus may hold one. */
  readonly #corpusHasAdded: boolean;
  /** Scratch for text that comes as a string. */
  #utf8 = new Uint8Array(1 << 12);

  /** @param own contents of the tokenizer's own special tokens, which are plain text in a corpus. */
  constructor(splitter: WordSplitter, added_tokens: readonly AddedToken[], own: ReadonlySet<string>) {
    this.#splitter = splitter;
    const { normalized = [], asItStands = [] } = Object.groupBy(
      added_tokens,
      (token) => token.normalized ? "normalized" : "asItStands",
    );
    this.#added = new AddedTokens(asItStands, own);
    this.#normalizedAdded = new AddedTokens(normalized, own, (content) => splitter.normalize(content).text);
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
    if (!this.#added.mayBeIn(text, specials)) return this.#scanWords(text, sink, true);
    for (const part of this.#added.split(text, specials)) {
      if (part.added) sink.addedToken(part.token);
      else this.#scanWords(part.text, sink, part.at === 0);
    }
  }

  /** The same for a part of a corpus, which is whole UTF-8: `bytes[from..to)`. */
  scanUtf8(bytes: Uint8Array, from: number, to: number, sink: TextSink): void {
    if (this.mayHoldAdded(bytes, from, to)) return this.scan(decoder.decode(bytes.slice(from, to)), "corpus", sink);
    this.#splitter.scan(bytes, from, to, sink, true);
  }

  /** The same for text in which there is no added token. */
  scanWords(bytes: Uint8Array, from: number, to: number, sink: WordSink): void {
    this.#splitter.scan(bytes, from, to, sink, true);
  }

  /** Whether there may be an added token in a part of a corpus. */
  mayHoldAdded(bytes: Uint8Array, from: number, to: number): boolean {
    if (!this.#corpusHasAdded) return false;
    if (this.#normalizedAdded.any("corpus")) return true;
    return this.#added.mayBeIn(decoder.decode(bytes.slice(from, to)), "corpus");
  }

  #scanWords(text: string, sink: WordSink, isFirst: boolean): void {
    const length = this.#encode(text); // before its buffer is looked at: that may be a new one
    this.#splitter.scan(this.#utf8, 0, length, sink, isFirst);
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
      const normalized = this.#splitter.normalize(part.text);
      for (const { added, token, at, text } of this.#normalizedAdded.split(normalized.text, specials)) {
        const to = at + text.length;
        if (added) {
          const starts = normalized.starts.slice(at, to), ends = normalized.ends.slice(at, to);
          yield { token, word: { text, starts, ends }, at: part.at };
          continue;
        }
        const isFirst = part.at === 0 && at === 0;
        for (const word of this.#splitter.split(normalized, at, to, isFirst)) {
          yield { token: undefined, word, at: part.at };
        }
      }
    }
  }
}
