import { assertAlmostEquals, assertEquals } from "@std/assert";
import { type Batch, packMasked } from "../config/batch.ts";
import type { BatchStream } from "../tasks/task.ts";
import { GrowingBatches } from "./growing_batches.ts";

/** Batches of one sequence of a length; their first id is their number. */
class Counting implements BatchStream {
  position = { window: 0, batch: 0 };
  readonly #length: number;

  constructor(length: number) {
    this.#length = length;
  }

  get epoch(): number {
    return this.position.batch / 100;
  }

  next(): Batch {
    const ids = new Int32Array(this.#length).fill(this.position.batch++);
    return packMasked([{ ids, positions: [1], labels: [1] }]);
  }

  skip(): number {
    return this.next().input_ids.length;
  }

  [Symbol.dispose](): void {}
}

const growing = () => new GrowingBatches(new Counting(4), new Counting(9), 0.5);
const seen = ({ input_ids }: Batch) => `${input_ids.length}:${input_ids[0]}`;

Deno.test("GrowingBatches gives short batches until its share is done, then long ones; both make epochs", () => {
  using batches = growing();
  assertEquals([0, 0.25, 0.49, 0.5, 1].map((done) => seen(batches.next(done))), ["4:0", "4:1", "4:2", "9:0", "9:1"]);
  assertAlmostEquals(batches.epoch, 0.05, 1e-12);
});

Deno.test("GrowingBatches goes on at any position, in either part", () => {
  for (const before of [2, 4]) {
    const dones = [0, 0.2, 0.4, 0.6, 0.8, 1];
    using whole = growing();
    const all = dones.map((done) => seen(whole.next(done)));
    using first = growing();
    for (const done of dones.slice(0, before)) first.next(done);
    using second = growing();
    second.position = JSON.parse(JSON.stringify(first.position));
    assertEquals(dones.slice(before).map((done) => seen(second.next(done))), all.slice(before));
  }
});

Deno.test("GrowingBatches.skip passes over what next would give, in either part", () => {
  const dones = [0, 0.2, 0.4, 0.6, 0.8, 1];
  using made = growing();
  using passed = growing();
  for (const done of dones) {
    assertEquals(passed.skip(done), made.next(done).input_ids.length);
    assertEquals(passed.position, made.position);
  }
});
