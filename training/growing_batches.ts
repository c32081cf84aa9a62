/**
 * Training batches whose sequences are short in the first part of a run and as long as asked for in the rest: a model finds
 * out what neighbours tell before it has many of them (sequence length warmup; Nagatsuka et al., 2021). A stream over two
 * streams; its position says where both stand. Called by the pretrain command.
 */

import type { Batch } from "../config/batch.ts";
import type { Position } from "../data/mod.ts";
import type { BatchStream } from "../tasks/task.ts";

/** Batches of one stream while less than `share` of the run is done, and then those of another. */
export class GrowingBatches implements BatchStream {
  readonly #short: BatchStream;
  readonly #long: BatchStream;
  readonly #share: number;

  constructor(short: BatchStream, long: BatchStream, share: number) {
    this.#short = short;
    this.#long = long;
    this.#share = share;
  }

  get position(): Position {
    return { ...this.#long.position, short: this.#short.position };
  }

  set position({ window, batch, short }: Position) {
    this.#long.position = { window, batch };
    this.#short.position = short ?? { window: 0, batch: 0 };
  }

  /** Of both together: half a pass of short sequences and half of long ones are a pass. */
  get epoch(): number {
    return this.#short.epoch + this.#long.epoch;
  }

  next(done = 0): Batch {
    return (done < this.#share ? this.#short : this.#long).next(done);
  }

  skip(done = 0): number {
    return (done < this.#share ? this.#short : this.#long).skip(done);
  }

  [Symbol.dispose](): void {
    this.#short[Symbol.dispose]();
    this.#long[Symbol.dispose]();
  }
}
