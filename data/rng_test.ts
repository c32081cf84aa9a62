import { assert, assertEquals } from "@std/assert";
import { Permutation, philox, Random } from "./rng.ts";

Deno.test("philox gives the known answers of Random123", () => {
  // Salmon et al.'s kat_vectors for philox4x32, 10 rounds.
  const vectors = [
    [[0, 0, 0, 0], [0, 0], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]],
    [[~0, ~0, ~0, ~0], [~0, ~0], [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ];
  const out = new Uint32Array(4);
  for (const [counter, key, expected] of vectors) {
    philox(counter, key, out);
    assertEquals([...out], expected);
  }
});

Deno.test("Random is a function of seed, stream, epoch and index alone", () => {
  const take = (seed: number, stream: number, epoch: number, index: number) => {
    const random = new Random(seed, stream).at(epoch, index);
    return Array.from({ length: 9 }, () => random.bits());
  };
  assertEquals(take(1, 2, 3, 4), take(1, 2, 3, 4));
  for (
    const other of [take(2, 2, 3, 4), take(1, 3, 3, 4), take(1, 2, 4, 4), take(1, 2, 3, 5), take(2 ** 40, 2, 3, 4)]
  ) {
    assert(other.every((bits, i) => bits !== take(1, 2, 3, 4)[i]));
  }
});

Deno.test("Random.below is uniform", () => {
  const random = new Random(5, 1).at(0, 0);
  const counts = new Array(7).fill(0);
  for (let i = 0; i < 70_000; i++) counts[random.below(7)]++;
  const chi = counts.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0);
  assert(chi < 22.5, `chi-square ${chi} with 6 degrees of freedom`); // p = 0.001
});

Deno.test("Permutation visits everything once, in another order each epoch", () => {
  for (const n of [1, 2, 5, 1000, 4096]) {
    const permutation = new Permutation(9, n);
    const order = (epoch: number) => Array.from({ length: n }, (_, i) => permutation.at(epoch, i));
    assertEquals(order(0).toSorted((a, b) => a - b), Array.from({ length: n }, (_, i) => i));
    if (n >= 1000) {
      const [first, second] = [order(0), order(1)];
      const same = first.filter((x, i) => x === second[i]).length, still = first.filter((x, i) => x === i).length;
      assert(same < 10 && still < 10, `${same} and ${still} of ${n} stay in place`);
      const neighbours = first.filter((x, i) => i > 0 && Math.abs(x - first[i - 1]) === 1).length;
      assert(neighbours < 20, `${neighbours} neighbours stay neighbours`);
    }
  }
});
