/** `ByteLevel` as tokenizer.json has it. Used by the pre-tokenizers of pipelines. */

import { type AlignedText, prefixed } from "../aligned_text.ts";
import { boolean, type Json } from "../json_fields.ts";
import type { PreTokenizer } from "../pipeline/pre_tokenizer.ts";
import type { WordSink } from "../text_scanner.ts";
import { codePointAt, widthOf } from "../utf8.ts";
import { EMPTY_HASH, grown, nextHash } from "../word_table.ts";
import { Gpt2Scanner, type Pattern } from "./gpt2_scanner.ts";

const BLANK = 0x20;

/** Cuts text into words, which are bytes to the model. */
export class ByteLevel implements PreTokenizer {
  readonly #scanner: Gpt2Scanner | undefined;
  readonly #addPrefixSpace: boolean;
  /** Text with a space before it. */
  #prefixed = new Uint8Array(1 << 10).fill(BLANK, 0, 1);

  /** @param pattern without it, a text is one word. */
  constructor(pattern: Pattern | undefined, add_prefix_space: boolean) {
    this.#scanner = pattern === undefined ? undefined : new Gpt2Scanner(pattern);
    this.#addPrefixSpace = add_prefix_space;
  }

  prepare(text: AlignedText): AlignedText {
    return this.#addPrefixSpace && text.text !== "" && !text.text.startsWith(" ") ? prefixed(text, " ") : text;
  }

  cut(bytes: Uint8Array, from: number, to: number, sink: WordSink): void {
    if (this.#scanner !== undefined) return this.#scanner.scan(bytes, from, to, sink);
    if (from === to) return;
    let hash = EMPTY_HASH;
    for (let i = from; i < to; i += widthOf(bytes[i])) hash = nextHash(hash, codePointAt(bytes, i));
    sink.word(bytes, from, to, hash);
  }

  scan(bytes: Uint8Array, from: number, to: number, sink: WordSink): void {
    if (!this.#addPrefixSpace || from === to || bytes[from] === BLANK) return this.cut(bytes, from, to, sink);
    const length = to - from + 1;
    if (length > this.#prefixed.length) this.#prefixed = grown(this.#prefixed, length);
    this.#prefixed.set(bytes.subarray(from, to), 1);
    this.cut(this.#prefixed, 0, length, sink);
  }
}

/** `ByteLevel` alone. */
export function readByteLevel(steps: readonly Record<string, Json>[]): PreTokenizer | undefined {
  const [{ add_prefix_space, use_regex }] = steps;
  if (steps.length > 1) return undefined;
  const usesRegex = use_regex === undefined || boolean(use_regex, "pre_tokenizer.use_regex");
  return new ByteLevel(usesRegex ? "gpt2" : undefined, boolean(add_prefix_space, "pre_tokenizer.add_prefix_space"));
}
