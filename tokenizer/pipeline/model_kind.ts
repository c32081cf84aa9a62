/** What a kind of model gives a pipeline: reading, writing and building it. `models.ts` has the kinds. */

import type { Json } from "../json_fields.ts";
import type { ExtensionOptions } from "../extension_options.ts";
import type { IdBuffer } from "../id_buffer.ts";
import type { SubwordModel } from "../subword_model.ts";
import type { WordCounts } from "../word_counter.ts";

/** What a model needs to know of the tokenizer that it is part of. */
export interface ModelContext {
  /** The model's own tokens by id. */
  vocabulary: readonly string[];
  /** Special tokens, which no word of a corpus is. */
  own: ReadonlySet<string>;
}

/** What a model needs to know of the tokenizer that gets more tokens. Its vocabulary has the added tokens, too. */
export interface GrowthContext extends ModelContext {
  /** Tokens behind the model's own, which a file would number as pieces once there are pieces behind them. */
  outside: readonly string[];
  /** Contents of added and special tokens, which no new piece may be called. */
  taken: ReadonlySet<string>;
  /** The id of what stands for text without a token. */
  unk: number;
  /** Cuts a word as the tokenizer does now. */
  match(bytes: Uint8Array, start: number, end: number, out: IdBuffer): void;
}

/** A model that has grown. */
export interface Grown<Data> {
  /** The new tokens. */
  tokens: readonly string[];
  data: Data;
  /** For each of them the ids that it was cut into before. */
  pieces: Int32Array[];
}

/** What gives a model more tokens. */
export interface Growth<Data> {
  /** Those that a text most needs. */
  learn(words: WordCounts, options: ExtensionOptions): Grown<Data>;
  /** Words, as the model sees them, and parts of such. */
  named(texts: readonly string[]): Grown<Data>;
}

/** A kind of model. */
export interface ModelKind<Data extends { type: string }> {
  /**
   * Reads `model` of a tokenizer.json.
   *
   * @param byte_level whether words come as bytes.
   */
  read(json: Record<string, Json>, byte_level: boolean): { vocabulary: string[]; data: Data };
  /** `model` for a tokenizer.json. */
  write(vocabulary: readonly string[], data: Data): Record<string, Json>;
  /** Further files that older programs read, by name. */
  files?(vocabulary: readonly string[], data: Data): Record<string, string>;
  /** The model, ready to cut words. */
  build(context: ModelContext, data: Data): SubwordModel;
  /** What gives it more tokens. @throws {ClozeError} `input` saying why it can have none. */
  grow(context: GrowthContext, data: Data): Growth<Data>;
}
