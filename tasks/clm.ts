/**
 * Causal language modelling (Devlin et al., 2019, appendix C.1): every token but a sequence's last predicts the one behind
 * it, so `[CLS]` predicts the first word and the last word `[SEP]`, as transformers' `BertLMHeadModel` has it.
 */

import type { Batch } from "../config/batch.ts";
import { batchLimits, fixedEvalBatches, MlmBatches } from "../data/batches.ts";
import { headsOf } from "../model/model_heads.ts";
import { MLM } from "./mlm.ts";
import type { PretrainingTask } from "./pretraining_task.ts";
import type { BatchStream } from "./task.ts";

const MASKS_NONE = "is for masked tokens, but --objective clm masks none";

/** `BertLMHeadModel` with `is_decoder`. */
export const CLM: PretrainingTask = {
  ...MLM,
  name: "clm",
  heads: headsOf("clm"),
  summary: "predicts the next token, left to right",
  predictions: "next tokens",
  masks: false,
  options: { mlm_probability: 0, final_mlm_probability: 0 },
  useless: {
    "mlm-probability": MASKS_NONE,
    "masking": MASKS_NONE,
    "mask-count": MASKS_NONE,
    "mask-shares": MASKS_NONE,
    ...MLM.useless,
  },
  limits(options) {
    const limits = batchLimits(options);
    return { ...limits, max_masked: limits.max_tokens };
  },
  trainingBatches: (shard, tokenizer, options) => new CausalBatches(new MlmBatches(shard, tokenizer, options)),
  heldOutBatches: (shard, tokenizer, options, max_tokens) =>
    fixedEvalBatches(shard, tokenizer, options, max_tokens).map(causalBatch),
  // Whatever comes next is predicted: also [SEP], which no text holds, as often as in the batches.
  predictedCounts(shard, tokenizer, batches) {
    const counts = Float64Array.from(shard.counts);
    const { sep } = tokenizer.special;
    let ends = 0, others = 0;
    for (const { labels } of batches) {
      for (const label of labels) label === sep ? ends++ : others++;
    }
    counts[sep] = Math.round(shard.header.tokens * ends / Math.max(1, others));
    return counts;
  },
};

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
class CausalBatches implements BatchStream {
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

  next(done?: number): Batch {
    return causalBatch(this.#source.next(done));
  }

  skip(done?: number): number {
    return this.#source.skip(done);
  }

  [Symbol.dispose](): void {
    this.#source[Symbol.dispose]();
  }
}
