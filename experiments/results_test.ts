import { assert, assertEquals } from "@std/assert";
import { Results } from "./results.ts";

const CONDITIONS = [
  { name: "a", label: "", pretrain: {} },
  { name: "b", label: "", pretrain: { "mlm-probability": 0.4 } },
  { name: "c", label: "", pretrain: { objective: "clm" }, is_decoder: true as const },
];

Deno.test("Results come back by condition, checkpoint and seed, without a line that was cut off", async () => {
  const path = await Deno.makeTempFile();
  const results = await Results.open(path);
  for (const condition of ["a", "b"]) {
    for (const step of [16, 32]) {
      for (const seed of [1, 0]) {
        const accuracy = step / 100 + seed / 1000 + (condition === "b" ? 0.5 : 0);
        await results.add({ condition, seed, step, accuracy, examples: 10 });
      }
    }
  }
  await results.add({ condition: "a", seed: 0, step: 0, accuracy: 0.1, examples: 10 });
  await Deno.writeTextFile(path, '{"condition":"a","seed":2', { append: true });
  const again = await Results.open(path);
  assert(again.has("b", 1, 32) && !again.has("a", 2, 16));
  await again.add({ condition: "a", seed: 2, step: 16, accuracy: 1, examples: 10 });
  assertEquals((await Results.open(path)).measured(CONDITIONS, [16, 32], 2), {
    accuracies: {
      a: [[0.16, 0.161], [0.32, 0.321]],
      b: [[0.66, 0.661], [0.8200000000000001, 0.821]],
      c: [[], []],
    },
    untrained: { a: [0.1], b: [0.1], c: [] }, // a and b read in the same direction, c does not
    examples: 10,
  });
  await Deno.remove(path);
});
