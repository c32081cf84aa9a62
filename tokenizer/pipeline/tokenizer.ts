/**
 * A tokenizer of the parts that tokenizer.json names: BPE and Unigram, with their normalizers, pre-tokenizers,
 * post-processors and decoders. Used through `Tokenizer`.
 */

import { SPECIAL } from "../added_tokens.ts";
import type { IdBuffer } from "../id_buffer.ts";
import { Tokenizer } from "../tokenizer.ts";
import type { PipelineData } from "../tokenizer_data.ts";
import { decodeByteLevel, readDecoder } from "./decoders.ts";
import { modelKind } from "./models.ts";
import { readPostProcessor, templateOf } from "./post_processor.ts";
import { SpacedSpelling } from "./spelling.ts";
import { splitterOf } from "./splitter.ts";

const BEGINS = 1, ENDS = 2, IS_SPACE = 4, KNOWN = 8;

/** Where the text is a person's, these are found before it is cut into words; in a corpus they are plain text. */
export function ownTokens({ added_tokens, names }: PipelineData): Set<string> {
  const added = new Set(added_tokens.map(({ content }) => content));
  return new Set(Object.values(names).filter((content) => added.has(content)));
}

/** BPE or Unigram. */
export class PipelineTokenizer extends Tokenizer {
  readonly data: PipelineData;
  readonly #spelling: SpacedSpelling;
  /** Of each id, what white space its token has; 0 where that was not looked up yet. */
  readonly #spaces: Uint8Array;

  /** @throws {ClozeError} `input` naming a step that cloze does not read, or a special token that is missing. */
  constructor(data: PipelineData, notes: readonly string[] = []) {
    const { vocabulary, pieces, names, model } = data;
    const isByteLevel = model.type === "BPE" && model.byte_level;
    const spelling = new SpacedSpelling(
      readDecoder(data.decoders),
      isByteLevel ? (token) => decodeByteLevel([token])[0] : (token) => token.replaceAll("▁", " "),
    );
    const ids = new Map(vocabulary.map((token, id) => [token, id]));
    super({
      vocabulary,
      pieces,
      added_tokens: data.added_tokens,
      names,
      splitter: splitterOf(data),
      model: modelKind(model.type).build({ vocabulary: vocabulary.slice(0, pieces), own: ownTokens(data) }, model),
      spelling,
      template: templateOf(readPostProcessor(data.post_processors), (token) => ids.get(token)),
      notes,
    });
    this.data = data;
    this.#spelling = spelling;
    this.#spaces = new Uint8Array(vocabulary.length);
  }

  get lowercases(): boolean {
    return this.data.normalizers.some(({ type }) => type === "Lowercase");
  }

  get isSpaced(): boolean {
    return true;
  }

  /** A text, or a token by its name if it has a mark: `Ġleaves`. */
  wordIds(words: string, isFirst: boolean): Int32Array {
    const known = /^[Ġ▁]/.test(words) ? this.idOf(words) : undefined;
    if (known !== undefined) return Int32Array.of(known);
    return this.encode(isFirst || /^\s/.test(words) ? words : ` ${words}`).ids;
  }

  get longestWord(): number {
    return Infinity;
  }

  withSpecial(special: readonly string[]): PipelineTokenizer {
    const { data, notes } = this;
    const added_tokens = [...data.added_tokens, ...special.map((content) => ({ content, ...SPECIAL }))];
    return new PipelineTokenizer({ ...data, vocabulary: [...data.vocabulary, ...special], added_tokens }, notes);
  }

  canWrite(character: string): boolean {
    const ids: number[] = [];
    this.encodeIds(character, ids, "corpus");
    return !ids.includes(this.special.unk);
  }

  words(text: string): string[] {
    return this.corpusWords(text).map((word) => word.replaceAll("▁", " ").trim()).filter((word) => word !== "");
  }

  /** Tokens have the white space of the text, which so says where eojeols begin. */
  protected encodeEojeols(bytes: Uint8Array, from: number, to: number, out: IdBuffer, starts: number[]): void {
    // Its bytes may be in several tokens.
    if (hasIdeographicSpace(bytes, from, to)) return this.encodeWhole(bytes, from, to, out, starts);
    const first = out.length;
    this.encodeWords(bytes, from, to, out);
    let isBehindSpace = true;
    for (let i = first; i < out.length; i++) {
      const spaces = this.#spacesOf(out.at(i));
      const isSpace = (spaces & IS_SPACE) !== 0;
      if (i === first || (!isSpace && (isBehindSpace || (spaces & BEGINS) !== 0))) {
        this.#startAt(out, i, first, starts);
      }
      if (isSpace) isBehindSpace = true;
      else isBehindSpace = (spaces & ENDS) !== 0;
    }
  }

  protected override startEojeol(out: IdBuffer, first: number, starts: number[]): void {
    this.#startAt(out, out.length - 1, first, starts);
  }

  /** A token of white space alone is the beginning of the word behind it, unless that has a space of its own. */
  #startAt(out: IdBuffer, place: number, first: number, starts: number[]): void {
    const hasOwn = (this.#spacesOf(out.at(place)) & BEGINS) !== 0;
    if (!hasOwn && place > first && (this.#spacesOf(out.at(place - 1)) & IS_SPACE) !== 0) place--;
    if (starts.length === 0 || starts[starts.length - 1] < place) starts.push(place);
  }

  #spacesOf(id: number): number {
    const known = this.#spaces[id];
    if (known !== 0) return known;
    const { begins, ends, isSpace } = this.#spelling.spaces(this.vocabulary[id]);
    return this.#spaces[id] = KNOWN | (begins ? BEGINS : 0) | (ends ? ENDS : 0) | (isSpace ? IS_SPACE : 0);
  }
}

/** Whether there is a U+3000. */
function hasIdeographicSpace(bytes: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i + 2 < to; i++) {
    if (bytes[i] === 0xE3 && bytes[i + 1] === 0x80 && bytes[i + 2] === 0x80) return true;
  }
  return false;
}
