/** Which sequences of a window share a batch: packed to a token budget, or bucketed by length. Pure functions. */

import type { Random } from "./rng.ts";

/**
 * Batches of indices into `lengths`, at most `budget` tokens each: best fit, longest first. The order among equal lengths
 * is the order given; the order of batches is random.
 */
export function packed(lengths: ArrayLike<number>, budget: number, random: Random): number[][] {
  const batches: number[][] = [];
  // Batches by the room that is left in them; the last one of a list is taken.
  const withRoom: number[][] = Array.from({ length: budget + 1 }, () => []);
  let most = 0; // no batch has more room than this
  for (const i of longestFirst(lengths)) {
    let room = lengths[i];
    while (room <= most && withRoom[room].length === 0) room++;
    let batch: number;
    if (room <= most) {
      batch = withRoom[room].pop()!;
    } else {
      batch = batches.push([]) - 1;
      room = budget;
    }
    batches[batch].push(i);
    const left = room - lengths[i];
    withRoom[left].push(batch);
    most = Math.max(most, left);
  }
  return shuffled(batches, random);
}

/** Batches of like lengths: the number of sequences times the longest one is at most `budget`. In random order. */
export function bucketed(lengths: ArrayLike<number>, budget: number, random: Random): number[][] {
  const batches: number[][] = [];
  let room = 0, longest = 0;
  for (const i of longestFirst(lengths)) {
    if (room < longest || batches.length === 0) {
      longest = lengths[i];
      room = budget;
      batches.push([]);
    }
    batches[batches.length - 1].push(i);
    room -= longest;
  }
  return shuffled(batches, random);
}

/** Indices in decreasing order of length, ties as they are: a counting sort. */
function longestFirst(lengths: ArrayLike<number>): Uint32Array {
  let longest = 0;
  for (let i = 0; i < lengths.length; i++) longest = Math.max(longest, lengths[i]);
  const places = new Uint32Array(longest + 2);
  for (let i = 0; i < lengths.length; i++) places[longest - lengths[i] + 1]++;
  for (let k = 1; k < places.length; k++) places[k] += places[k - 1];
  const order = new Uint32Array(lengths.length);
  for (let i = 0; i < lengths.length; i++) order[places[longest - lengths[i]]++] = i;
  return order;
}

function shuffled(batches: number[][], random: Random): number[][] {
  for (let i = batches.length - 1; i > 0; i--) {
    const other = random.below(i + 1);
    [batches[i], batches[other]] = [batches[other], batches[i]];
  }
  return batches;
}
