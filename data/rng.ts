/**
 * Randomness as a pure function of (seed, stream, epoch, index): Philox4x32-10 (Salmon et al., 2011, "Parallel random
 * numbers: as easy as 1, 2, 3"). There is no state, so nothing depends on workers, batch sizes or resume points.
 */

const M0 = 0xD2511F53, M1 = 0xCD9E8D57, W0 = 0x9E3779B9, W1 = 0xBB67AE85;

/** High 32 bits of a 32 × 32 bit product. */
function mulHigh(a: number, b: number): number {
  const aLow = a & 0xFFFF, aHigh = a >>> 16, bLow = b & 0xFFFF, bHigh = b >>> 16;
  const low = aLow * bLow;
  const middle = aHigh * bLow + (low >>> 16);
  const other = aLow * bHigh + (middle & 0xFFFF);
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(other / 0x10000)) >>> 0;
}

/** One block: `counter` (4 words) and `key` (2 words) to 4 random words in `out`. */
export function philox(counter: ArrayLike<number>, key: ArrayLike<number>, out: Uint32Array): void {
  let c0 = counter[0] >>> 0, c1 = counter[1] >>> 0, c2 = counter[2] >>> 0, c3 = counter[3] >>> 0;
  let k0 = key[0] >>> 0, k1 = key[1] >>> 0;
  for (let round = 0; round < 10; round++) {
    const high0 = mulHigh(M0, c0), low0 = Math.imul(M0, c0) >>> 0;
    const high1 = mulHigh(M1, c2), low1 = Math.imul(M1, c2) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + W0) >>> 0;
    k1 = (k1 + W1) >>> 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/** What randomness is for; uses never share numbers. */
export const STREAMS = {
  mask: 1,
  replace: 2,
  shuffle: 3,
  holdout: 4,
  evaluation: 5,
  practice: 6,
  pairs: 7,
  batches: 8,
  lengths: 9,
} as const;

/** The numbers of one (seed, stream, epoch, index), in order. */
export class Random {
  readonly #key = new Uint32Array(2);
  readonly #counter = new Uint32Array(4);
  readonly #block = new Uint32Array(4);
  #used = 4;

  /** `seed` is an integer from 0 to 2⁵³ − 1. */
  constructor(seed: number, stream: number) {
    this.#key[0] = seed % 2 ** 32;
    this.#key[1] = Math.floor(seed / 2 ** 32) + stream * 2 ** 21;
  }

  /** Starts the numbers of (epoch, index) and returns itself. */
  at(epoch: number, index: number): this {
    this.#counter[0] = 0;
    this.#counter[1] = index % 2 ** 32;
    this.#counter[2] = Math.floor(index / 2 ** 32);
    this.#counter[3] = epoch;
    this.#used = 4;
    return this;
  }

  /** The next 32 random bits. */
  bits(): number {
    if (this.#used === 4) {
      philox(this.#counter, this.#key, this.#block);
      this.#counter[0]++;
      this.#used = 0;
    }
    return this.#block[this.#used++];
  }

  /** Uniform in [0, 1). */
  uniform(): number {
    return this.bits() / 2 ** 32;
  }

  /** Uniform among 0 … n − 1, n ≤ 2³². */
  below(n: number): number {
    return Math.floor(this.uniform() * n);
  }

  /** One of the items. */
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)];
  }
}

/**
 * A permutation of 0 … n − 1 for each epoch, computed one element at a time: a Feistel network on the smallest even
 * number of bits that holds n, walked until it falls inside (Black and Rogaway, 2002). Its keys are Philox numbers, its
 * round function is MurmurHash3's finalizer.
 */
export class Permutation {
  readonly #random: Random;
  readonly #n: number;
  readonly #half: number;
  readonly #keys = new Uint32Array(8);
  #epoch = -1;

  constructor(seed: number, n: number) {
    this.#random = new Random(seed, STREAMS.shuffle);
    this.#n = n;
    this.#half = 1;
    while (4 ** this.#half < n) this.#half++;
  }

  /** Where element `i` goes in that epoch. */
  at(epoch: number, i: number): number {
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#random.at(epoch, 0);
      for (let k = 0; k < this.#keys.length; k++) this.#keys[k] = this.#random.bits();
    }
    const side = 2 ** this.#half, mask = side - 1;
    let left = Math.floor(i / side), right = i & mask;
    do {
      for (const key of this.#keys) {
        let h = Math.imul(right ^ key, 0x9E3779B1);
        h = Math.imul(h ^ (h >>> 16), 0x85EBCA6B);
        h = Math.imul(h ^ (h >>> 13), 0xC2B2AE35);
        [left, right] = [right, (left ^ h ^ (h >>> 16)) & mask];
      }
    } while (left * side + right >= this.#n);
    return left * side + right;
  }
}
