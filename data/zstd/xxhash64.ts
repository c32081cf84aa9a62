/** XXH64 with seed 0, whose low half is the checksum of a Zstandard frame. 64 bits are two halves of 32 here. */

const [P1H, P1L] = [0x9E3779B1, 0x85EBCA87],
  [P2H, P2L] = [0xC2B2AE3D, 0x27D4EB4F],
  [P3H, P3L] = [0x165667B1, 0x9E3779F9];
const [P4H, P4L] = [0x85EBCA77, 0xC2B2AE63], [P5H, P5L] = [0x27D4EB2F, 0x165667C5];

/** Bytes of a round. */
const STRIPE = 32;

/** A hash of bytes as they come. */
export class XxHash64 {
  /** Four lanes, high and low half each. */
  readonly #lanes = Int32Array.of(
    ...add(P1H, P1L, P2H, P2L),
    P2H,
    P2L,
    0,
    0,
    ...add(0, 0, ~P1H, -P1L),
  );
  readonly #rest = new Uint8Array(STRIPE);
  #restLength = 0;
  #length = 0;

  /** Takes bytes into account. */
  update(bytes: Uint8Array): void {
    this.#length += bytes.length;
    let at = 0;
    if (this.#restLength > 0) {
      at = Math.min(STRIPE - this.#restLength, bytes.length);
      this.#rest.set(bytes.subarray(0, at), this.#restLength);
      if ((this.#restLength += at) < STRIPE) return;
      this.#stripes(this.#rest, 0, STRIPE);
    }
    const end = at + Math.floor((bytes.length - at) / STRIPE) * STRIPE;
    this.#stripes(bytes, at, end);
    this.#rest.set(bytes.subarray(end));
    this.#restLength = bytes.length - end;
  }

  /** One lane after the other, so that it can stay in registers. */
  #stripes(bytes: Uint8Array, from: number, to: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let lane = 0; lane < 4; lane++) {
      let h = this.#lanes[2 * lane], l = this.#lanes[2 * lane + 1];
      for (let at = from + 8 * lane; at < to; at += STRIPE) {
        const inputLow = view.getInt32(at, true), inputHigh = view.getInt32(at + 4, true);
        const sumLow = (l >>> 0) + (Math.imul(inputLow, P2L) >>> 0);
        const product = highProduct(inputLow, P2L) + Math.imul(inputHigh, P2L) + Math.imul(inputLow, P2H) | 0;
        const sumHigh = h + product + (sumLow > 0xFFFFFFFF ? 1 : 0) | 0;
        const rotatedHigh = sumHigh << 31 | (sumLow | 0) >>> 1, rotatedLow = sumLow << 31 | sumHigh >>> 1;
        h = highProduct(rotatedLow, P1L) + Math.imul(rotatedHigh, P1L) + Math.imul(rotatedLow, P1H) | 0;
        l = Math.imul(rotatedLow, P1L);
      }
      this.#lanes[2 * lane] = h;
      this.#lanes[2 * lane + 1] = l;
    }
  }

  /** The low 32 bits of the hash. */
  low32(): number {
    let h: [number, number];
    if (this.#length >= STRIPE) {
      h = [0, 0];
      [1, 7, 12, 18].forEach((bits, lane) => {
        h = add(...h, ...rotate(this.#lanes[2 * lane], this.#lanes[2 * lane + 1], bits));
      });
      for (let lane = 0; lane < 4; lane++) {
        const [a, b] = round(this.#lanes[2 * lane], this.#lanes[2 * lane + 1]);
        h = add(...multiply(h[0] ^ a, h[1] ^ b, P1H, P1L), P4H, P4L);
      }
    } else h = [P5H, P5L];
    h = add(...h, Math.floor(this.#length / 2 ** 32), this.#length | 0);
    const view = new DataView(this.#rest.buffer, 0, this.#restLength);
    let at = 0;
    for (; at + 8 <= this.#restLength; at += 8) {
      const [a, b] = round(view.getInt32(at + 4, true), view.getInt32(at, true));
      h = add(...multiply(...rotate(h[0] ^ a, h[1] ^ b, 27), P1H, P1L), P4H, P4L);
    }
    if (at + 4 <= this.#restLength) {
      const [a, b] = multiply(0, view.getInt32(at, true), P1H, P1L);
      h = add(...multiply(...rotate(h[0] ^ a, h[1] ^ b, 23), P2H, P2L), P3H, P3L);
      at += 4;
    }
    for (; at < this.#restLength; at++) {
      const [a, b] = multiply(0, view.getUint8(at), P5H, P5L);
      h = multiply(...rotate(h[0] ^ a, h[1] ^ b, 11), P1H, P1L);
    }
    h = multiply(h[0], h[1] ^ h[0] >>> 1, P2H, P2L); // h ^ h >>> 33
    h = multiply(h[0] ^ h[0] >>> 29, h[1] ^ (h[0] << 3 | h[1] >>> 29), P3H, P3L);
    return (h[1] ^ h[0]) >>> 0; // the low half of h ^ h >>> 32
  }
}

/** A lane after an input: `rotate(input · P2, 31) · P1`, from a lane of 0. */
function round(h: number, l: number): [number, number] {
  return multiply(...rotate(...multiply(h, l, P2H, P2L), 31), P1H, P1L);
}

/** The high 32 bits of a product of two numbers of 32 bits without sign. */
function highProduct(a: number, b: number): number {
  const aLow = a & 0xFFFF, aHigh = a >>> 16, bLow = b & 0xFFFF, bHigh = b >>> 16;
  const middle = aHigh * bLow + (aLow * bLow >>> 16);
  const other = aLow * bHigh + (middle & 0xFFFF);
  return aHigh * bHigh + Math.floor(middle / 65536) + Math.floor(other / 65536) | 0;
}

function multiply(ah: number, al: number, bh: number, bl: number): [number, number] {
  return [highProduct(al, bl) + Math.imul(ah, bl) + Math.imul(al, bh) | 0, Math.imul(al, bl)];
}

function add(ah: number, al: number, bh: number, bl: number): [number, number] {
  const sum = (al >>> 0) + (bl >>> 0);
  return [ah + bh + (sum > 0xFFFFFFFF ? 1 : 0) | 0, sum | 0];
}

function rotate(h: number, l: number, bits: number): [number, number] {
  return [h << bits | l >>> 32 - bits, l << bits | h >>> 32 - bits];
}
