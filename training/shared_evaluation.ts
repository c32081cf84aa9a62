/**
 * Batches that the processes of a run evaluate together, one each at a time. What is measured is summed up by the leader in
 * the batches' order, so that figures do not depend on how many processes there are. Used by the training loop.
 */

import type { Batch } from "../config/batch.ts";
import type { RowResults } from "../config/engine.ts";
import type { Engine } from "../ffi/mod.ts";
import type { Crew } from "./crew.ts";

/** Bytes before a batch's results: how many tokens and sequences they are of. */
const HEADER = 8;

/** An evaluation in progress. All processes have the same batches. */
export class SharedEvaluation {
  readonly #engine: Pick<Engine, "evaluate">;
  readonly #crew: Pick<Crew, "rank" | "size" | "lead" | "gather" | "together">;
  readonly #batches: readonly Batch[];
  /** What the others have found that was not asked for yet. */
  readonly #found = new Map<Batch, RowResults>();

  constructor(
    engine: Pick<Engine, "evaluate">,
    crew: Pick<Crew, "rank" | "size" | "lead" | "gather" | "together">,
    batches: readonly Batch[],
  ) {
    this.#engine = engine;
    this.#crew = crew;
    this.#batches = batches;
  }

  /** Leader: evaluates a batch, while the others evaluate those behind it. */
  async evaluate(batch: Batch): Promise<RowResults> {
    if (!this.#found.has(batch)) {
      const first = this.#batches.indexOf(batch);
      await this.#crew.lead({ evaluate: first });
      (await this.round(first)).forEach((results, i) => this.#found.set(this.#batches[first + i], results));
    }
    return this.#found.get(batch)!;
  }

  /** All of them: each evaluates one of the batches from number `first` on, and learns of all. */
  async round(first: number): Promise<RowResults[]> {
    const batches = this.#batches.slice(first, first + this.#crew.size);
    const sizes = batches.map(({ labels, cu_seqlens }) => HEADER + 8 * (labels.length + cu_seqlens.length));
    const own = new Uint8Array(Math.max(...sizes));
    const batch = batches[this.#crew.rank];
    if (batch !== undefined) write(own, await this.#crew.together(() => this.#engine.evaluate(batch)));
    return (await this.#crew.gather(own)).slice(0, batches.length).map(read);
  }
}

function write(out: Uint8Array, { row_loss, row_rank, sequence_loss, sequence_rank }: RowResults): void {
  let at = 0;
  for (const array of [Int32Array.of(row_loss.length, sequence_loss.length), row_loss, row_rank, sequence_loss]) {
    out.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), at);
    at += array.byteLength;
  }
  out.set(new Uint8Array(sequence_rank.buffer, sequence_rank.byteOffset, sequence_rank.byteLength), at);
}

function read(bytes: Uint8Array): RowResults {
  const { buffer } = bytes.slice(); // which begins where its numbers may
  const [rows, sequences] = new Int32Array(buffer, 0, 2);
  return {
    row_loss: new Float32Array(buffer, HEADER, rows),
    row_rank: new Int32Array(buffer, HEADER + 4 * rows, rows),
    sequence_loss: new Float32Array(buffer, HEADER + 8 * rows, sequences),
    sequence_rank: new Int32Array(buffer, HEADER + 8 * rows + 4 * sequences, sequences),
  };
}
