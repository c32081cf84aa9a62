/** Tables of Finite State Entropy: from a list of probabilities, or as a frame describes them (RFC 8878, section 4.1). */

/**
 * For each state: its symbol, eight bits up how many more bits choose the next state, and sixteen bits up which state they
 * are added to.
 */
export interface FseTable {
  /** Bits of a state. */
  accuracy: number;
  entries: Int32Array;
}

/**
 * A table from how many states each symbol has; -1 is one state and less than one in probability.
 *
 * @throws {Error} if they are not all states.
 */
export function fseTable(counts: readonly number[], accuracy: number): FseTable {
  const size = 1 << accuracy, mask = size - 1, step = (size >> 1) + (size >> 3) + 3;
  const symbols = new Uint8Array(size);
  const next = counts.map(Math.abs);
  if (next.reduce((a, b) => a + b, 0) !== size) throw new Error("probabilities do not add up");
  let high = size, at = 0;
  counts.forEach((count, symbol) => {
    if (count === -1) symbols[--high] = symbol;
  });
  counts.forEach((count, symbol) => {
    for (let i = 0; i < count; i++) {
      symbols[at] = symbol;
      do at = at + step & mask; while (at >= high);
    }
  });
  const entries = Int32Array.from(symbols, (symbol) => {
    const number = next[symbol]++, bits = accuracy - (31 - Math.clz32(number));
    return symbol | bits << 8 | (number << bits) - size << 16;
  });
  return { accuracy, entries };
}

/** A table of one symbol. */
export function oneSymbol(symbol: number): FseTable {
  return { accuracy: 0, entries: Int32Array.of(symbol) };
}

/**
 * Reads the description of a table from the bytes `[from, to)`.
 *
 * @throws {Error} if it is none, or larger than it may be.
 */
export function readFseTable(
  view: DataView,
  from: number,
  to: number,
  limits: { accuracy: number; symbols: number },
): { table: FseTable; end: number } {
  let at = 0; // bits read
  const read = (count: number): number => {
    if (from + (at >> 3) >= to) throw new Error("a table is broken");
    const value = view.getUint32(from + (at >> 3), true) >>> (at & 7) & (1 << count) - 1;
    at += count;
    return value;
  };
  const accuracy = 5 + read(4);
  if (accuracy > limits.accuracy) throw new Error("a table is larger than it may be");
  const counts: number[] = [];
  for (let left = 1 << accuracy; left > 0;) {
    if (counts.length >= limits.symbols) throw new Error("a table is broken");
    const width = 32 - Math.clz32(left + 1);
    const low = (1 << width - 1) - 1, threshold = (1 << width) - 2 - left;
    let value = read(width);
    if ((value & low) < threshold) {
      at--;
      value &= low;
    } else if (value > low) value -= threshold;
    const count = value - 1;
    left -= Math.abs(count);
    counts.push(count);
    for (let zeros = count === 0 ? 3 : 0; zeros === 3;) {
      zeros = read(2);
      for (let i = 0; i < zeros; i++) counts.push(0);
    }
  }
  const end = from + (at + 7 >> 3);
  if (end > to || counts.length > limits.symbols) throw new Error("a table is broken");
  return { table: fseTable(counts, accuracy), end };
}
