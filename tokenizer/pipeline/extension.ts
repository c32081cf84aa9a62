/**
 * More tokens for BPE and Unigram: pieces of the model, so that they are found in words as its own pieces are, and
 * `tokenizers` finds the same ones. Used by `extension.ts`.
 */

import { ClozeError } from "../../config/cloze_error.ts";
import { sliced } from "../aligned_text.ts";
import type { Extender, Extension } from "../extender.ts";
import type { ExtensionOptions } from "../extension_options.ts";
import { IdBuffer } from "../id_buffer.ts";
import type { WordCounts } from "../word_counter.ts";
import type { WordSource } from "../word_source.ts";
import type { Growth, GrowthContext } from "./model_kind.ts";
import { type ModelData, modelKind } from "./models.ts";
import { splitterOf } from "./splitter.ts";
import { ownTokens, PipelineTokenizer } from "./tokenizer.ts";

/** What stands before a word that has white space before it. */
const MARK = /^[ ▁]/;

/** Extends pipelines. */
export class PipelineExtender implements Extender {
  readonly words: WordSource;
  readonly #tokenizer: PipelineTokenizer;

  /** @throws {ClozeError} `input` saying why it can have no more tokens. */
  constructor(tokenizer: PipelineTokenizer) {
    const { normalizers, pre_tokenizers } = tokenizer.data;
    this.#tokenizer = tokenizer;
    this.words = {
      splitter: { pipeline: { normalizers, pre_tokenizers } },
      added_tokens: tokenizer.added_tokens,
      own: Object.values(tokenizer.names),
    };
    if (this.#wordsOf("a a").length < 2) {
      throw new ClozeError("input", "its tokenizer does not cut text into words, so that none can become a token");
    }
    this.#growth();
  }

  learn(words: WordCounts, options: ExtensionOptions): Extension {
    return this.#extended(this.#growth().learn(words, options));
  }

  named(tokens: readonly string[], placeOf: (index: number) => string): Extension {
    const texts = tokens.map((token, i) => this.#textOf(token, placeOf(i)));
    const extension = this.#extended(this.#growth().named(texts)), { tokenizer } = extension;
    texts.forEach((text, i) => {
      const bytes = new TextEncoder().encode(text), ids = new IdBuffer();
      tokenizer.encodeWord(bytes, 0, bytes.length, ids);
      if (ids.length === 1 && ids.at(0) !== tokenizer.special.unk) return;
      throw notFound(tokens[i], placeOf(i), Array.from(ids.view(), (id) => tokenizer.tokenOf(id)));
    });
    return extension;
  }

  /** The model's way to grow, which knows what a new piece must not be called. */
  #growth(): Growth<ModelData> {
    const { vocabulary, pieces, data, added_tokens, special } = this.#tokenizer;
    const context: GrowthContext = {
      vocabulary,
      own: ownTokens(data),
      outside: vocabulary.slice(pieces),
      taken: new Set([
        ...added_tokens.map(({ content }) => content),
        ...vocabulary.filter((_, id) => this.#tokenizer.isSpecial(id)),
      ]),
      unk: special.unk,
      match: (bytes, start, end, out) => this.#tokenizer.encodeWord(bytes, start, end, out),
    };
    return modelKind(data.model.type).grow(context, data.model);
  }

  #extended({ tokens, data: model, pieces }: ReturnType<Growth<ModelData>["learn"]>): Extension & {
    tokenizer: PipelineTokenizer;
  } {
    const { data, notes } = this.#tokenizer;
    if (tokens.length === 0) return { tokenizer: this.#tokenizer, pieces: [] };
    const vocabulary = [...data.vocabulary, ...tokens];
    return {
      tokenizer: new PipelineTokenizer({ ...data, vocabulary, pieces: vocabulary.length, model }, notes),
      pieces,
    };
  }

  #wordsOf(text: string): string[] {
    const { pipeline } = this.words.splitter as Extract<WordSource["splitter"], { pipeline: unknown }>;
    const splitter = splitterOf(pipeline), normalized = splitter.normalize(text);
    const words = splitter.split(sliced(normalized, 0, normalized.text.length), 0, normalized.text.length, false);
    return words.map(({ text }) => text);
  }

  /** A word as the model sees it, of a token as a person names it. */
  #textOf(token: string, place: string): string {
    const isInside = token.startsWith("##") && token !== "##";
    const plain = isInside ? token.slice(2) : token.replace(/^[Ġ▁](?=.)/u, "");
    const words = this.#wordsOf(` ${plain}`).filter((word) => word.replace(MARK, "") !== "");
    if (words.length !== 1) throw notFound(token, place, words.map((word) => word.replace(MARK, "")));
    return isInside ? words[0].replace(MARK, "") : words[0];
  }
}

function notFound(token: string, place: string, instead: readonly string[]): ClozeError {
  return new ClozeError("input", `${place}: no text gives the token ${JSON.stringify(token)}`, {
    hint: instead.length === 0 ? undefined : `the tokenizer makes of it: ${instead.join(" ")}`,
  });
}
