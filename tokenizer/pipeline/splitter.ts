/** Normalizers and a pre-tokenizer of tokenizer.json as a splitter. Used by pipelines and to learn their vocabularies. */

import { aligned, type AlignedText, sliced } from "../aligned_text.ts";
import type { Json } from "../json_fields.ts";
import type { WordSink, WordSplitter } from "../text_scanner.ts";
import { widthOf } from "../utf8.ts";
import { type Normalizer, readNormalizer } from "./normalizers.ts";
import { type PreTokenizer, readPreTokenizer } from "./pre_tokenizers.ts";

/** The steps as tokenizer.json has them, without sequences around them. */
export interface PipelineSteps {
  normalizers: readonly Record<string, Json>[];
  pre_tokenizers: readonly Record<string, Json>[];
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Splits text as the steps say. */
export class PipelineSplitter implements WordSplitter {
  readonly #normalizers: readonly Normalizer[];
  readonly #preTokenizer: PreTokenizer;

  /** @throws {ClozeError} naming a step that is not known. */
  constructor({ normalizers, pre_tokenizers }: PipelineSteps) {
    this.#normalizers = normalizers.map(readNormalizer);
    this.#preTokenizer = readPreTokenizer(pre_tokenizers);
  }

  normalize(text: string): AlignedText {
    return this.#normalizers.reduce((text, step) => step.aligned(text), aligned(text));
  }

  split(text: AlignedText, from: number, to: number, isFirst: boolean): AlignedText[] {
    const prepared = this.#preTokenizer.prepare(sliced(text, from, to), isFirst);
    const bytes = encoder.encode(prepared.text), words: AlignedText[] = [];
    let byte = 0, unit = 0;
    const unitAt = (end: number) => {
      for (; byte < end; byte += widthOf(bytes[byte])) unit += bytes[byte] < 0xF0 ? 1 : 2;
      return unit;
    };
    this.#preTokenizer.cut(bytes, 0, bytes.length, {
      word: (_, start, end) => words.push(sliced(prepared, unitAt(start), unitAt(end))),
    });
    return words;
  }

  scan(bytes: Uint8Array, from: number, to: number, sink: WordSink, isFirst: boolean): void {
    for (const step of this.#normalizers) {
      if (step.mayChange(bytes, from, to)) return this.#scanNormalized(bytes, from, to, sink, isFirst);
    }
    this.#preTokenizer.scan(bytes, from, to, sink, isFirst);
  }

  #scanNormalized(bytes: Uint8Array, from: number, to: number, sink: WordSink, isFirst: boolean): void {
    const text = this.#normalizers.reduce((text, step) => step.plain(text), decoder.decode(bytes.slice(from, to)));
    const normalized = encoder.encode(text);
    this.#preTokenizer.scan(normalized, 0, normalized.length, sink, isFirst);
  }
}
