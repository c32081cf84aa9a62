/**
 * How long processes take to give one another so many bytes, each to all, as the gradients of an update are given: the
 * least of some rounds. Prints a line for each size. Not part of the product.
 *
 * usage: mpirun -n 2 deno run -A bench/exchange.ts
 */

import { launched, World } from "../ffi/world.ts";

const MIB = 2 ** 20;
const launch = launched();
if (launch === undefined) throw new Error("start it with mpirun");
const world = await World.join(launch);
for (const mib of [1 / 16, 1, 4, 16, 64, 128]) {
  const own = new Uint8Array(mib * MIB).fill(world.rank);
  let least = Infinity;
  for (let round = 0; round < Math.max(5, Math.min(50, 256 / mib)); round++) {
    await world.gather(new Uint8Array(8)); // so that they begin together
    const began = performance.now();
    await world.gather(own);
    least = Math.min(least, performance.now() - began);
  }
  if (world.rank === 0) {
    console.log(`${mib} MiB of ${world.size}: ${least.toFixed(2)} ms, ${(mib / least * 1000 / 1024).toFixed(2)} GiB/s`);
  }
}
await world.leave();
