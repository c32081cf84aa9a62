import { assertEquals } from "@std/assert";
import { type Batch, packMasked } from "../config/batch.ts";
import type { Order } from "./crew.ts";
import { SharedEvaluation } from "./shared_evaluation.ts";

/** Batches of different sizes; batch i predicts i + 1 tokens. */
const BATCHES = Array.from({ length: 7 }, (_, i) => {
  const tokens = Array.from({ length: i + 1 }, (_, k) => k + 1);
  return packMasked([{ ids: new Int32Array(i + 3).fill(i), positions: tokens, labels: tokens }]);
});

const resultsOf = ({ input_ids: [i], labels }: Batch) => ({
  row_loss: Float32Array.from(labels, (label) => i + label / 8),
  row_rank: Int32Array.from(labels, (label) => 10 * i + label),
  sequence_loss: Float32Array.of(i / 4),
  sequence_rank: Int32Array.of(i),
});

/** Processes whose gathering waits for all of them. */
function processes(size: number) {
  let given: (Uint8Array<ArrayBuffer> | undefined)[] = [];
  let waiting: ((all: Uint8Array[]) => void)[] = [];
  const evaluated: number[][] = [];
  const orders: Order[] = [];
  const sharedOf = (rank: number, lead: (order: Order) => void) => {
    const engine = {
      evaluate: (batch: Batch) => {
        (evaluated[rank] ??= []).push(batch.input_ids[0]);
        return Promise.resolve(resultsOf(batch));
      },
    };
    const crew = {
      rank,
      size,
      together: <T>(work: () => Promise<T>) => work(),
      lead: (order: Order) => {
        orders.push(order);
        lead(order);
        return Promise.resolve({ tokens: 0, predicted: 0, sequences: 0 });
      },
      gather: (own: Uint8Array<ArrayBuffer>) =>
        new Promise<Uint8Array[]>((resolve) => {
          given[rank] = own;
          waiting.push(resolve);
          if (waiting.length < size) return;
          const all = given as Uint8Array[];
          for (const answer of waiting) answer(all);
          [given, waiting] = [[], []];
        }),
    };
    return new SharedEvaluation(engine, crew, BATCHES);
  };
  const followers = Array.from({ length: size - 1 }, (_, i) => sharedOf(i + 1, () => {}));
  const leader = sharedOf(0, (order) => {
    for (const follower of followers) void follower.round((order as { evaluate: number }).evaluate);
  });
  return { leader, evaluated, orders };
}

Deno.test("SharedEvaluation gives what one engine would, in order, and each batch is evaluated once", async () => {
  for (const size of [1, 2, 4]) {
    const { leader, evaluated, orders } = processes(size);
    for (const batch of BATCHES) assertEquals(await leader.evaluate(batch), resultsOf(batch));
    assertEquals(evaluated.flat().toSorted((a, b) => a - b), BATCHES.map((_, i) => i));
    assertEquals(orders.length, Math.ceil(BATCHES.length / size));
    assertEquals(evaluated[0], BATCHES.map((_, i) => i).filter((i) => i % size === 0));
  }
});
