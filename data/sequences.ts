/**
 * A shard as training sequences: consecutive sentences of one document, as many as fit. Long documents are cut between
 * sentences, sentences that are too long at the limit.
 */

import type { Shard } from "./shards.ts";

/** Where each sequence begins and how many tokens it has, without `[CLS]` and `[SEP]`. */
export class Sequences {
  readonly shard: Shard;
  readonly starts: Float64Array;
  readonly lengths: Uint32Array;

  /** `max_sequence_length` counts `[CLS]` and `[SEP]`. */
  constructor(shard: Shard, max_sequence_length: number) {
    this.shard = shard;
    const most = max_sequence_length - 2;
    const starts: number[] = [], lengths: number[] = [];
    let at = 0, sentence = 0;
    for (const sentences of shard.documentLengths) {
      let start = at;
      for (const end = sentence + sentences; sentence < end; sentence++) {
        const length = shard.sentenceLengths[sentence];
        if (at > start && at + length - start > most) {
          starts.push(start);
          lengths.push(at - start);
          start = at;
        }
        at += length;
        for (; at - start > most; start += most) {
          starts.push(start);
          lengths.push(most);
        }
      }
      if (at > start) {
        starts.push(start);
        lengths.push(at - start);
      }
    }
    this.starts = Float64Array.from(starts);
    this.lengths = Uint32Array.from(lengths);
  }

  get count(): number {
    return this.starts.length;
  }

  /** Tokens of all sequences with their `[CLS]` and `[SEP]`. */
  get tokens(): number {
    return this.shard.header.tokens + 2 * this.count;
  }
}
