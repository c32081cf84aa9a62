import { assert, assertEquals } from "@std/assert";
import { type Batch, packMasked } from "../config/batch.ts";
import { mixedSizes, ReplayBatches } from "./replay_batches.ts";
import type { BatchStream } from "../tasks/task.ts";

/** Batches of one sequence whose ids say where they are from. */
class Counting implements BatchStream {
  position = { window: 0, batch: 0 };
  readonly #id: number;
  readonly #lengths: number[];

  constructor(id: number, lengths: number[]) {
    this.#id = id;
    this.#lengths = lengths;
  }

  get epoch(): number {
    return this.position.batch / 100;
  }

  next(): Batch {
    const { batch } = this.position;
    this.position = { window: 0, batch: batch + 1 };
    const ids = new Int32Array(this.#lengths[batch % this.#lengths.length]).fill(this.#id);
    ids[1] = batch;
    return packMasked([{ ids, positions: [1, 2], labels: [batch, this.#id] }]);
  }

  skip(): number {
    return this.next().input_ids.length;
  }

  [Symbol.dispose](): void {}
}

const mixed = (share: number) =>
  new ReplayBatches(new Counting(7, [97, 90, 95]), new Counting(9, [12, 5, 16, 9]), share);

Deno.test("ReplayBatches gives the other text its share to within one batch, at every instant", () => {
  for (const share of [0.01, 0.05, 0.3, 0.7]) {
    using batches = mixed(share);
    let tokens = 0, others = 0;
    for (let i = 0; i < 500; i++) {
      const { input_ids, cu_seqlens } = batches.next();
      assertEquals(cu_seqlens.at(-1), input_ids.length);
      tokens += input_ids.length;
      for (let b = 0; b + 1 < cu_seqlens.length; b++) {
        if (input_ids[cu_seqlens[b]] === 9) others += cu_seqlens[b + 1] - cu_seqlens[b];
      }
      assert(others >= share * tokens && others < share * tokens + 16, `${share}: ${others} of ${tokens}`);
    }
  }
});

Deno.test("ReplayBatches joins batches that the engine takes: places lie behind those of the text", () => {
  using batches = mixed(0.3);
  const { input_ids, position_ids, cu_seqlens, masked_positions, labels, token_type_ids } = batches.next();
  assertEquals([...cu_seqlens], [0, 97, 109, 114, 130, 139]);
  assertEquals([...masked_positions].map((place) => input_ids[place]), [...labels]);
  assertEquals([...labels], [0, 7, 0, 9, 1, 9, 2, 9, 3, 9]);
  assertEquals([position_ids[96], position_ids[97], position_ids[113]], [96, 0, 4]);
  assertEquals(token_type_ids.length, input_ids.length);
});

Deno.test("ReplayBatches goes on from any position with the same batches", () => {
  using whole = mixed(0.05);
  for (let i = 0; i < 20; i++) {
    const position = JSON.parse(JSON.stringify(whole.position));
    using again = mixed(0.05);
    again.position = position;
    assertEquals(whole.next(), again.next());
    assertEquals(whole.position, again.position);
  }
});

Deno.test("mixedSizes leaves room for whatever is due", () => {
  for (const [batch_tokens, length, share] of [[1024, 32, 0.05], [128, 128, 0.5], [2048, 64, 0.9]]) {
    const sizes = mixedSizes(batch_tokens, length, share);
    using batches = new ReplayBatches(new Counting(7, [sizes.text]), new Counting(9, [sizes.replay, 3]), share);
    for (let i = 0; i < 200; i++) assert(batches.next().input_ids.length <= sizes.most);
  }
});

Deno.test("ReplayBatches.skip passes over what next would give, and owes as much after it", () => {
  using made = mixed(0.3);
  using passed = mixed(0.3);
  for (let i = 0; i < 30; i++) {
    assertEquals(passed.skip(), made.next().input_ids.length);
    assertEquals(passed.position, made.position);
  }
});
