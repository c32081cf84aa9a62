/**
 * Batches for a left-to-right model: every token but a sequence's last predicts the one behind it, so `[CLS]` predicts the
 * first word and the last word `[SEP]`, as transformers' `BertLMHeadModel` has it.
 */

import type { Batch } from "../config/batch.ts";
import type { BatchStream } from "./train.ts";

/** The same sequences with next tokens as labels; they must not be masked. */
export function causalBatch(batch: Batch): Batch {
  const { input_ids, cu_seqlens } = batch;
  const count = input_ids.length - (cu_seqlens.length - 1);
  const masked_positions = new Int32Array(count), labels = new Int32Array(count);
  let m = 0;
  for (let b = 0; b + 1 < cu_seqlens.length; b++) {
    for (let i = cu_seqlens[b]; i + 1 < cu_seqlens[b + 1]; i++) {
      masked_positions[m] = i;
      labels[m++] = input_ids[i + 1];
    }
  }
  return { ...batch, masked_positions, labels };
}

/** A stream of unmasked batches as one of next-token batches. */
export class CausalBatches implements BatchStream {
  readonly #source: BatchStream;

  constructor(source: BatchStream) {
    this.#source = source;
  }

  get position(): BatchStream["position"] {
    return this.#source.position;
  }

  set position(position: BatchStream["position"]) {
    this.#source.position = position;
  }

  get epoch(): number {
    return this.#source.epoch;
  }

  next(): Batch {
    return causalBatch(this.#source.next());
  }

  [Symbol.dispose](): void {
    this.#source[Symbol.dispose]();
  }
}
