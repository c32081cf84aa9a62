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

Deno.test("Results have losses, and what guesses get, where they were measured", async () => {
  const path = await Deno.makeTempFile();
  const results = await Results.open(path);
  const guesses = { commonest: 0.1, guessing_loss: 6 };
  for (const seed of [0, 1]) {
    results.add({
      condition: "a",
      seed,
      step: 16,
      accuracy: 0.2,
      examples: 10,
      loss: { mean: 5, error: seed },
      ...guesses,
    });
  }
  const measured = results.measured(CONDITIONS.slice(0, 1), [16], 2);
  assertEquals(measured.losses, { a: [[{ mean: 5, error: 0 }, { mean: 5, error: 1 }]] });
  assertEquals([measured.commonest, measured.guessing_loss], [0.1, 6]);
  await Deno.remove(path);
});
