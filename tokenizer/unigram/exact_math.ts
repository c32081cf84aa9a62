/**
 * Logarithm, exponential and digamma from additions, multiplications and divisions alone, which every machine rounds alike:
 * `Math.log` and `Math.exp` need not give the same bits everywhere. Used by the trainer.
 */

const LN2 = 0.6931471805599453;
/** ln 2 in two parts, the first short enough for its multiples to be exact. */
const LN2_HIGH = 0.693147180369123816490;
const LN2_LOW = 1.90821492927058770002e-10;

const view = new DataView(new ArrayBuffer(8));

/** Natural logarithm of a normal positive number. */
export function exactLog(x: number): number {
  view.setFloat64(0, x);
  let exponent = (view.getUint32(0) >>> 20) - 1023;
  view.setUint32(0, view.getUint32(0) & 0xFFFFF | 0x3FF00000);
  let m = view.getFloat64(0);
  if (m > Math.SQRT2) {
    m /= 2;
    exponent++;
  }
  // ln m = 2 artanh s, with |s| < 0.172
  const s = (m - 1) / (m + 1), square = s * s;
  let sum = 0;
  for (let k = 21; k >= 1; k -= 2) sum = sum * square + 1 / k;
  return exponent * LN2_HIGH + (2 * s * sum + exponent * LN2_LOW);
}

/** e to the power of `x`, which is between -700 and 700. */
export function exactExp(x: number): number {
  const k = Math.floor(x / LN2 + 0.5);
  const r = x - k * LN2_HIGH - k * LN2_LOW;
  let sum = 1;
  for (let n = 14; n >= 1; n--) sum = 1 + sum * r / n;
  return sum * powerOfTwo(k);
}

/** 2 to the power of a whole number between -1022 and 1023. */
export function powerOfTwo(k: number): number {
  view.setUint32(0, (k + 1023) << 20);
  view.setUint32(4, 0);
  return view.getFloat64(0);
}

/** The logarithmic derivative of the gamma function, of a positive number (Bernardo, 1976). */
export function exactDigamma(x: number): number {
  let below = 0;
  for (; x < 10; x++) below += 1 / x;
  const s = 1 / (x * x);
  const series = s * (1 / 12 - s * (1 / 120 - s * (1 / 252 - s * (1 / 240 - s / 132))));
  return exactLog(x) - 1 / (2 * x) - series - below;
}
