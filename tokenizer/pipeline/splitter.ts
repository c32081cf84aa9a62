/** Normalizers and a pre-tokenizer of tokenizer.json as a splitter. Used by pipelines and to learn their vocabularies. */

import { type AlignedText, sliced } from "../aligned_text.ts";
import type { WordSink, WordSplitter } from "../text_scanner.ts";
import { hasMetaspace } from "../unigram/metaspace.ts";
import { MetaspaceSplitter } from "../unigram/metaspace_splitter.ts";
import { codePointAt, widthOf } from "../utf8.ts";
import { NormalizerChain } from "./normalizer_chain.ts";
import type { PreTokenizer } from "./pre_tokenizer.ts";
import { readPreTokenizer } from "./pre_tokenizers.ts";
import type { PipelineSteps } from "./steps.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** The splitter of such steps. @throws {ClozeError} naming a step that is not known. */
export function splitterOf(steps: PipelineSteps): WordSplitter {
  return hasMetaspace(steps.pre_tokenizers) ? new MetaspaceSplitter(steps) : new PipelineSplitter(steps);
}

/** Splits text as the steps say. */
class PipelineSplitter implements WordSplitter {
  readonly #normalizers: NormalizerChain;
  /** Whether a code point stays whatever stands beside it. 0: not looked up yet; 1: it does; 2: not. */
  readonly #stays = new Uint8Array(0x10000);
  readonly #preTokenizer: PreTokenizer;

  constructor({ normalizers, pre_tokenizers }: PipelineSteps) {
    this.#normalizers = new NormalizerChain(normalizers);
    this.#preTokenizer = readPreTokenizer(pre_tokenizers);
  }

  normalize(text: string): AlignedText {
    return this.#normalizers.aligned(text);
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
    if (!this.#mayChange(bytes, from, to)) return this.#preTokenizer.scan(bytes, from, to, sink, isFirst);
    const normalized = encoder.encode(this.#normalizers.plain(decoder.decode(bytes.slice(from, to))));
    this.#preTokenizer.scan(normalized, 0, normalized.length, sink, isFirst);
  }

  /** Whether the normalizers may change `bytes[from..to)`. */
  #mayChange(bytes: Uint8Array, from: number, to: number): boolean {
    const { steps } = this.#normalizers, stays = this.#stays;
    if (steps.length === 0) return false;
    if (steps.some(({ changesAll, looksAtSpaces }) => changesAll || looksAtSpaces)) return true;
    for (let i = from; i < to; i += widthOf(bytes[i])) {
      const code = codePointAt(bytes, i);
      if (code >= 0x10000 ? !this.#decide(code) : (stays[code] ||= this.#decide(code) ? 1 : 2) === 2) return true;
    }
    return false;
  }

  #decide(code: number): boolean {
    const fate = this.#normalizers.fateOf(code);
    return "text" in fate && fate.text === String.fromCodePoint(code);
  }
}
