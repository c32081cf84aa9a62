/** What a kind of model gives a pipeline: reading, writing and building it. `models.ts` has the kinds. */

import type { Json } from "../json_fields.ts";
import type { SubwordModel } from "../subword_model.ts";

/** What a model needs to know of the tokenizer that it is part of. */
export interface ModelContext {
  /** The model's own tokens by id. */
  vocabulary: readonly string[];
  /** Special tokens, which no word of a corpus is. */
  own: ReadonlySet<string>;
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
}
