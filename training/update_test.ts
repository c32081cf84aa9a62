import { assertEquals } from "@std/assert";
import type { Batch } from "../config/batch.ts";
import type { BatchStream, Task } from "../tasks/task.ts";
import { accumulate, Update } from "./update.ts";

const NONE = new Int32Array(0);

/** Batch number n has n + 1 tokens, all of them predicted, and one pair. Notes what is made of it. */
class Numbers implements BatchStream {
  readonly notes: string[] = [];
  readonly epoch = 0;
  position = { window: 0, batch: 0 };

  next(): Batch {
    const ids = new Int32Array(this.skip("makes"));
    const [masked_positions, labels] = [ids, ids];
    const sequences = { token_type_ids: NONE, position_ids: NONE, cu_seqlens: NONE, sequence_labels: Int32Array.of(1) };
    return { input_ids: ids, masked_positions, labels, ...sequences };
  }

  skip(note: string | number = "skips"): number {
    const { batch } = this.position;
    this.notes.push(`${typeof note === "string" ? note : "skips"} ${batch}`);
    this.position = { window: 0, batch: batch + 1 };
    return batch + 1;
  }

  [Symbol.dispose](): void {}
}

const TASK: Task = {
  predicted: ({ labels }) => labels.length,
  sequenceWeight: ({ predicted, sequences }) => predicted / sequences,
  trained: () => ({ loss: 0, accuracy: 0 }),
};

const updateOf = (batches: BatchStream, first: number) =>
  new Update({ task: TASK, batches, count: 8, share: { first, count: 2 }, done: () => 0 });

Deno.test("Update.take makes a process's own batches, and passes over those of the others", () => {
  const batches = new Numbers();
  const update = updateOf(batches, 2);
  update.take(0.5);
  assertEquals(batches.notes, ["skips 0", "skips 1", "makes 2", "makes 3"]);
  update.take();
  assertEquals(batches.notes.slice(4), ["skips 4", "skips 5", "skips 6", "skips 7"]);
  assertEquals([update.first, update.own.map(({ input_ids }) => input_ids.length)], [2, [3, 4]]);
  assertEquals(update.amount, { tokens: 7, predicted: 7, sequences: 2 });
});

Deno.test("accumulate numbers its batches in the whole update, weighs them by all of it, and takes the next ones", async () => {
  const calls: string[] = [];
  const engine = {
    forwardBackward: ({ input_ids }: Batch, step: number, micro: number, weight = 1) => {
      calls.push(`${step}.${micro}:${input_ids.length}×${weight}`);
      return Promise.resolve();
    },
  };
  const batches = new Numbers();
  const [update, upcoming] = [updateOf(batches, 4), updateOf(batches, 4)];
  update.take();
  update.amount = { tokens: 36, predicted: 36, sequences: 8 };
  await accumulate({ engine, task: TASK, cut: true }, update, 3, upcoming);
  assertEquals(calls, ["3.4:5×4.5", "3.5:6×4.5"]);
  assertEquals(upcoming.own.length, 2);

  // An update that predicts nothing is left out by all processes.
  upcoming.amount = { tokens: 100, predicted: 0, sequences: 8 };
  await accumulate({ engine, task: TASK, cut: true }, upcoming, 4, updateOf(batches, 4));
  assertEquals([calls.length, batches.position.batch], [2, 24]);
});
