/**
 * Text → words of tokenizers with `Metaspace`: normalizers, then the cut into words. One way gives words alone, from UTF-8
 * and fast; the other says where every character stood. Tests hold the two together. Used by the tokenizer and by the word
 * counter, so that both see the same words.
 */

import type { AlignedText } from "../aligned_text.ts";
import { NormalizerChain } from "../pipeline/normalizer_chain.ts";
import type { PipelineSteps } from "../pipeline/steps.ts";
import type { WordSink, WordSplitter } from "../text_scanner.ts";
import { codePointAt, widthOf } from "../utf8.ts";
import { EMPTY_HASH, grown, nextHash } from "../word_table.ts";
import { type MetaspaceOptions, readMetaspaceSteps, splitAligned, splitText } from "./metaspace.ts";

// What a code point does; 0 is "not looked up yet".
/** It stays, whatever stands beside it. */
const KEEP = 1;
/** It becomes other characters, found in `#maps`, whatever stands beside it. */
const MAP = 2;
/** What stands between the spaces around it has to be normalized as a whole. */
const CHUNK = 3;
/** The same, and it cannot be the first of it. */
const LATER_CHUNK = 4;
/** The whole text has to be normalized as a whole. */
const WHOLE = 5;

const SPACE = 32;
const WHITE_SPACE = /\p{White_Space}/u;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Normalizes text and cuts it into words. */
export class MetaspaceSplitter implements WordSplitter {
  readonly #normalizers: NormalizerChain;
  readonly #options: MetaspaceOptions;
  readonly #basic = new Uint8Array(0x10000);
  readonly #astral = new Map<number, number>();
  readonly #maps = new Map<number, Uint8Array>();
  /** Whether text can be normalized piece by piece between single spaces. */
  readonly #hasChunks: boolean;
  /** Whether more than one space is as good as one. */
  readonly #spacesCollapse: boolean;
  /** Whether a word gets ▁ by the place in the source where it stood. */
  readonly #looksAtPlaces: boolean;
  readonly #replacement: Uint8Array;
  readonly #replacementHash: number;
  /** The words of the text in progress: end to end, where each ends, and their hashes. */
  #bytes = new Uint8Array(1 << 10);
  #ends = new Uint32Array(1 << 6);
  #hashes = new Int32Array(1 << 6);

  /** @throws {ClozeError} naming a step that is not known. */
  constructor({ normalizers, pre_tokenizers }: PipelineSteps) {
    const chain = this.#normalizers = new NormalizerChain(normalizers);
    const options = this.#options = readMetaspaceSteps(pre_tokenizers);
    this.#replacement = encoder.encode(options.replacement);
    this.#replacementHash = nextHash(EMPTY_HASH, options.replacement.codePointAt(0)!);
    const space = chain.fateOf(SPACE);
    this.#hasChunks = "text" in space && space.text === " ";
    this.#spacesCollapse = options.whitespace_split &&
      chain.steps.every((step) => !step.looksAtSpaces || /^a +b$/.test(step.plain("a  b")));
    this.#looksAtPlaces = options.prepend_scheme === "first";
  }

  normalize(text: string): AlignedText {
    return this.#normalizers.aligned(text);
  }

  split(text: AlignedText, from: number, to: number, isFirst: boolean): AlignedText[] {
    return splitAligned(text, from, to, this.#options, isFirst);
  }

  /** The words of a text, normalized as a whole. */
  #words(text: string, isFirst: boolean): string[] {
    if (!this.#looksAtPlaces || !isFirst) return splitText(this.#normalizers.plain(text), this.#options);
    const normalized = this.normalize(text);
    return this.split(normalized, 0, normalized.text.length, true).map(({ text }) => text);
  }

  scan(bytes: Uint8Array, from: number, to: number, sink: WordSink, isFirst: boolean): void {
    const words = this.#hasChunks ? this.#scanChunks(bytes, from, to, isFirst) : -1;
    if (words < 0) {
      for (const word of this.#words(decoder.decode(bytes.slice(from, to)), isFirst)) this.#hand(word, sink);
      return;
    }
    for (let word = 0, start = 0; word < words; start = this.#ends[word++]) {
      sink.word(this.#bytes, start, this.#ends[word], this.#hashes[word]);
    }
  }

  #hand(word: string, sink: WordSink): void {
    if (this.#bytes.length < 3 * word.length) this.#bytes = new Uint8Array(3 * word.length);
    const { written } = encoder.encodeInto(word, this.#bytes);
    sink.word(this.#bytes, 0, written, hashOf(this.#bytes, 0, written));
  }

  /** Collects the words and returns how many there are, or -1 if the text has to be normalized as a whole. */
  #scanChunks(bytes: Uint8Array, from: number, to: number, isFirst: boolean): number {
    const { whitespace_split, prepend_scheme, split } = this.#options;
    const isOneWord = !whitespace_split && !split, basic = this.#basic;
    const firstPrefixed = prepend_scheme === "always" || (prepend_scheme === "first" && isFirst);
    const laterPrefixed = prepend_scheme === "always" || !whitespace_split;
    let words = 0, length = 0, hash = EMPTY_HASH;
    for (let i = from; i < to;) {
      if (bytes[i] === SPACE) {
        if (!this.#spacesCollapse) return -1;
        i++;
        continue;
      }
      // A chunk: what stands between spaces. Its replacement and three bytes a byte are room enough for it.
      const start = i, before = length;
      let room = this.#roomFor(length + 8);
      if (i === from ? firstPrefixed : laterPrefixed) {
        for (let k = 0; k < this.#replacement.length; k++) room[length++] = this.#replacement[k];
        if (isOneWord && words > 0) hash = nextHash(hash, this.#options.replacement.codePointAt(0)!);
        else hash = this.#replacementHash;
      } else if (!isOneWord) hash = EMPTY_HASH;
      const begun = length;
      let isChunk = false;
      while (i < to) {
        let code = bytes[i], width = 1;
        if (code === SPACE) break;
        if (code >= 0x80) {
          width = widthOf(code);
          code = codePointAt(bytes, i);
        }
        let action = code < 0x10000 ? basic[code] : 0;
        if (action === 0) action = this.#action(code);
        if (action === KEEP) {
          if (length + 4 > room.length) room = this.#roomFor(length + 4);
          hash = nextHash(hash, code);
          for (const end = i + width; i < end;) room[length++] = bytes[i++];
          continue;
        }
        if (this.#looksAtPlaces && start === from && isFirst) return -1;
        if (action === MAP) {
          const mapped = this.#maps.get(code)!;
          room = this.#roomFor(length + mapped.length);
          for (let k = 0; k < mapped.length; k++) room[length++] = mapped[k];
          for (let k = 0; k < mapped.length; k += widthOf(mapped[k])) hash = nextHash(hash, codePointAt(mapped, k));
        } else if (action === WHOLE || (action === LATER_CHUNK && i === start)) return -1;
        else isChunk = true;
        i += width;
      }
      if (isChunk) {
        length = this.#normalizeChunk(bytes, start, i, begun);
        if (length < 0) return -1;
        hash = hashOf(this.#bytes, isOneWord ? 0 : before, length);
      }
      if (length === begun) return -1;
      if (i < to) {
        // One space, and not the last character, unless that makes no difference.
        i++;
        if (!this.#spacesCollapse && (i === to || bytes[i] === SPACE)) return -1;
      }
      words = isOneWord ? 0 : words;
      if (words + 1 > this.#ends.length) {
        this.#ends = grown(this.#ends, words + 1);
        this.#hashes = grown(this.#hashes, words + 1);
      }
      this.#ends[words] = length;
      this.#hashes[words++] = hash;
    }
    return words;
  }

  /** Puts what `bytes[start..end)` becomes at `at`; returns where it ends, or -1 if the whole text has to be looked at. */
  #normalizeChunk(bytes: Uint8Array, start: number, end: number, at: number): number {
    const text = this.#normalizers.chunk(decoder.decode(bytes.slice(start, end)));
    if (text === undefined || text.includes(this.#options.replacement)) return -1;
    const room = this.#roomFor(at + 3 * text.length);
    return at + encoder.encodeInto(text, room.subarray(at)).written;
  }

  #roomFor(length: number): Uint8Array {
    if (length > this.#bytes.length) this.#bytes = grown(this.#bytes, length);
    return this.#bytes;
  }

  #action(code: number): number {
    let action = code < 0x10000 ? this.#basic[code] : this.#astral.get(code);
    if (action) return action;
    action = this.#decide(code);
    if (code < 0x10000) this.#basic[code] = action;
    else this.#astral.set(code, action);
    return action;
  }

  #decide(code: number): number {
    const fate = this.#normalizers.fateOf(code);
    if ("depends" in fate) return fate.depends === "text" ? WHOLE : fate.first ? CHUNK : LATER_CHUNK;
    if (WHITE_SPACE.test(fate.text) || fate.text.includes(this.#options.replacement)) return WHOLE;
    if (fate.text === String.fromCodePoint(code)) return KEEP;
    this.#maps.set(code, encoder.encode(fate.text));
    return MAP;
  }
}

/** The hash of a word; see `word_table.ts`. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = EMPTY_HASH;
  for (let i = start; i < end; i += widthOf(bytes[i])) hash = nextHash(hash, codePointAt(bytes, i));
  return hash;
}
