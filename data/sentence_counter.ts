/** Sentences in UTF-8 → counted words. Used by `unit_jobs.ts` and for text that comes as strings. */

import { type WordCounter, wordCounter, type WordCounts, type WordSource } from "../tokenizer/mod.ts";
import type { TextSink } from "./unit.ts";

/** Counts the words of documents, and their characters. */
export class SentenceCounter implements TextSink {
  readonly #counter: WordCounter;
  /** Characters so far. */
  characters = 0;

  constructor(words: WordSource) {
    this.#counter = wordCounter(words);
  }

  /** The words so far: views. */
  get words(): WordCounts {
    return this.#counter.words;
  }

  sentence(bytes: Uint8Array, from: number, to: number): void {
    this.#counter.addUtf8(bytes, from, to);
    let continuing = 0;
    for (let i = from; i < to; i++) continuing += (bytes[i] & 0xC0) === 0x80 ? 1 : 0;
    this.characters += to - from - continuing;
  }

  endDocument(): void {}
}
