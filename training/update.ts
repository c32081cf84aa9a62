/**
 * The batches of an update, and its gradient: a process makes the batches that it computes, and passes over those of the
 * others. Used by the training loop.
 */

import type { Batch } from "../config/batch.ts";
import type { Engine } from "../ffi/mod.ts";
import type { Amount, BatchStream, Task } from "../tasks/task.ts";
import type { Share } from "./crew.ts";

/** An engine's answer that was there before it was waited for comes within this time. */
const AT_ONCE_MS = 0.5;

/** Where an update's batches come from. */
export interface Source {
  task: Task;
  batches: BatchStream;
  /** Batches of the update, over all processes. */
  count: number;
  /** Those of this process; all, unless given. */
  share?: Share;
  /** Share of the run that is done, for the next batch. */
  done: () => number;
}

/** An update's batches, which are taken one after the other. */
export class Update {
  /** What this process computes, in order. */
  readonly own: Batch[] = [];
  /** The number of the first of them. */
  readonly first: number;
  /** Of its own batches; of all, when the processes have told one another. */
  amount: Amount = { tokens: 0, predicted: 0, sequences: 0 };
  readonly #source: Source;
  readonly #end: number;
  #taken = 0;

  constructor(source: Source) {
    this.#source = source;
    const { first, count } = source.share ?? { first: 0, count: source.count };
    this.first = first;
    this.#end = first + count;
  }

  /** Takes batches until this share of them is there. */
  take(share = 1): void {
    const { batches, count, done } = this.#source;
    for (; this.#taken < count * share; this.#taken++) {
      if (this.#taken >= this.first && this.#taken < this.#end) this.#add(batches.next(done()));
      else batches.skip(done());
    }
  }

  #add(batch: Batch): void {
    const { tokens, predicted, sequences } = this.amount;
    this.amount = {
      tokens: tokens + batch.input_ids.length,
      predicted: predicted + this.#source.task.predicted(batch),
      sequences: sequences + batch.sequence_labels.length,
    };
    // Several have to be kept until all of them are there.
    this.own.push(this.#source.count === 1 ? batch : copyOf(batch));
  }
}

/** A batch with arrays of its own. */
export function copyOf(batch: Batch): Batch {
  return Object.fromEntries(Object.entries(batch).map(([name, array]) => [name, array.slice()])) as unknown as Batch;
}

/** What computes a gradient. */
export interface Accumulating {
  engine: Pick<Engine, "forwardBackward">;
  task: Task;
  /** Whether an update's batches are leaves of a tree of sums, which wants all of them or none. */
  cut?: boolean;
}

/**
 * Adds the gradients of an update's batches; meanwhile takes those of the next one.
 *
 * @returns for how long the engine waited for batches, at most, in milliseconds.
 */
export async function accumulate(
  { engine, task, cut = false }: Accumulating,
  { own, first, amount }: Update,
  step: number,
  upcoming: Update,
): Promise<number> {
  const weight = task.sequenceWeight(amount);
  let wait_ms = 0;
  for (const [i, batch] of (cut && amount.predicted === 0 ? [] : own).entries()) {
    const running = engine.forwardBackward(batch, step, first + i, weight);
    const building = performance.now();
    upcoming.take((i + 1) / own.length); // while the engine works
    const ready = performance.now();
    await running;
    // An answer that comes at once was there before: the engine stood still for at most the time of building. A GPU
    // answers at once until two batches lie before it.
    if (performance.now() - ready < AT_ONCE_MS) wait_ms += ready - building;
  }
  upcoming.take();
  return wait_ms;
}
