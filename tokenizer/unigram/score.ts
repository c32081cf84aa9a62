/**
 * A number of a file as `tokenizers` reads it: Rust's serde_json takes the digits as a whole number, and divides by a power
 * of ten. For one in seven of the numbers with 16 digits that is not the nearest one, which `JSON.parse` gives, and a tie
 * between two ways to write a word may go the other way. Used by `json.ts`.
 */

const LARGEST = 2n ** 64n - 1n;

/** The number that serde_json makes of a number's text; infinite where it refuses. */
export function serdeNumber(text: string): number {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text);
  if (match === null) return NaN;
  const [, sign, whole, fraction = "", power = "0"] = match;
  if (whole.length + fraction.length < 20) {
    const value = scaled(Number(whole + fraction), Number(power) - fraction.length);
    return sign === "-" ? -value : value;
  }
  let digits = 0n, exponent = 0, isFull = false;
  const take = (digit: string) => {
    const next = digits * 10n + BigInt(digit);
    isFull ||= next > LARGEST;
    if (!isFull) digits = next;
    return !isFull;
  };
  // What does not fit is left out.
  for (const digit of whole) if (!take(digit)) exponent++;
  isFull = false;
  const isWholeFull = exponent > 0;
  for (const digit of fraction) if (!isWholeFull && take(digit)) exponent--;
  const value = scaled(Number(digits), exponent + Number(power));
  return sign === "-" ? -value : value;
}

function scaled(value: number, exponent: number): number {
  for (;;) {
    const step = Math.min(Math.abs(exponent), 308);
    if (exponent >= 0) return exponent > 308 && value !== 0 ? Infinity : value * Number(`1e${step}`);
    value /= Number(`1e${step}`);
    exponent += step;
    if (exponent === 0 || value === 0) return value;
  }
}
