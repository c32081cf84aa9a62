/** Copies a model's weights with rows for more tokens. Used by `model/extended_model.ts`. */

import type { ModelConfig } from "../config/model_config.ts";
import { loadLibrary } from "./library.ts";
import { ERROR_LENGTH, throwIfFailed } from "./native_error.ts";

/** What to copy, and which rows to add. */
export interface WeightsExtension {
  /** Path of the weights, in any form that an engine opens. */
  weights: string;
  /** The safetensors file to make. */
  to: string;
  /** The model; its word embeddings have `vocab_size` rows now. */
  config: ModelConfig;
  /** Rows then. */
  new_rows: number;
  /** Id of the first new token; rows that are there beyond the tokens, as padding, are used first. */
  first: number;
  /** For each new token the ids whose mean its rows begin as. */
  pieces: readonly (readonly number[])[];
}

/**
 * Writes the copy, flushed to the disk. Each tensor keeps its name and dtype.
 *
 * @throws {ClozeError} `io` or `input`, naming the file or the tensor.
 */
export async function extendWeights(extension: WeightsExtension): Promise<void> {
  const request = new TextEncoder().encode(JSON.stringify(extension));
  const error = new Uint8Array(ERROR_LENGTH);
  const { cloze_extend_weights } = loadLibrary().symbols;
  throwIfFailed(await cloze_extend_weights(request, request.length, error, error.length), error);
}
