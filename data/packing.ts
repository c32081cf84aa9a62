/** Which sequences of a window share a batch: packed to a token budget, or bucketed by length. Pure functions. */

import type { Random } from "./rng.ts";

/**
 * Batches of indices into `lengths`, at most `budget` tokens each: best fit, longest first. The order among equal lengths
 * and the order of batches are random.
 */
export function packed(lengths: ArrayLike<number>, budget: number, random: Random): number[][] {
  const batches: number[][] = [];
  // Batches by the room that is left in them; the last one of a list is taken. A bit says that a list has one.
  const withRoom = new Map<number, number[]>();
  const bits = new Uint32Array((budget >>> 5) + 1);
  for (const i of longestFirst(lengths, random)) {
    let room = nextBit(bits, lengths[i]);
    let batch: number;
    if (room < 0) {
      batch = batches.push([]) - 1;
      room = budget;
    } else {
      const list = withRoom.get(room)!;
      batch = list.pop()!;
      if (list.length === 0) bits[room >>> 5] &= ~(1 << (room & 31));
    }
    batches[batch].push(i);
    const left = room - lengths[i];
    const list = withRoom.get(left);
    if (list === undefined) withRoom.set(left, [batch]);
    else list.push(batch);
    bits[left >>> 5] |= 1 << (left & 31);
  }
  return shuffled(batches, random);
}

/** The first bit that is set, from bit `from` on, or −1. */
function nextBit(bits: Uint32Array, from: number): number {
  let word = from >>> 5;
  let rest = bits[word] & (-1 << (from & 31));
  while (rest === 0) {
    if (++word === bits.length) return -1;
    rest = bits[word];
  }
  return 32 * word + 31 - Math.clz32(rest & -rest);
}

/** Batches of like lengths: the number of sequences times the longest one is at most `budget`. In random order. */
export function bucketed(lengths: ArrayLike<number>, budget: number, random: Random): number[][] {
  const batches: number[][] = [];
  let room = 0, longest = 0;
  for (const i of longestFirst(lengths, random)) {
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

/** Indices in decreasing order of length, ties in random order: a counting sort. */
function longestFirst(lengths: ArrayLike<number>, random: Random): Uint32Array {
  let longest = 0;
  for (let i = 0; i < lengths.length; i++) longest = Math.max(longest, lengths[i]);
  const places = new Uint32Array(longest + 2);
  for (let i = 0; i < lengths.length; i++) places[longest - lengths[i] + 1]++;
  for (let k = 1; k < places.length; k++) places[k] += places[k - 1];
  const order = new Uint32Array(lengths.length);
  for (const i of shuffled(Uint32Array.from({ length: lengths.length }, (_, i) => i), random)) {
    order[places[longest - lengths[i]]++] = i;
  }
  return order;
}

function shuffled<T extends number[][] | Uint32Array>(items: T, random: Random): T {
  for (let i = items.length - 1; i > 0; i--) {
    const other = random.below(i + 1);
    [items[i], items[other]] = [items[other], items[i]];
  }
  return items;
}
