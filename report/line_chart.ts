/**
 * Curves drawn with braille characters, for terminals. All else is ASCII: box-drawing characters are two columns wide in
 * some East Asian terminals. Knows no metrics and no colours.
 */

/** A curve; points need not be in order of anything. */
export interface Curve {
  x: readonly number[];
  y: readonly number[];
  /** Drawn as marks of this character instead of a line of dots. */
  mark?: string;
}

/** Size in characters, and how numbers are written. */
export interface LineChartOptions {
  width: number;
  height: number;
  /** Drawn as a dashed line across. */
  level?: number | undefined;
  /** Writes a mark of the y axis. */
  format: (y: number) => string;
}

/** Braille dots of a character cell, by row and column. */
const DOTS = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];
const BRAILLE = 0x2800;

/**
 * The lines of a chart, `height` of them, each at most `width` characters; none if there is nothing to draw. The y axis is
 * marked at its ends and at the level.
 */
export function lineChart(curves: readonly Curve[], options: LineChartOptions): string[] {
  const points = curves.flatMap(({ x, y }) => x.map((at, i) => [at, y[i]] as const))
    .filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y));
  if (points.length === 0) return [];
  const { height, level, format } = options;
  const ys = points.map(([, y]) => y).concat(level === undefined ? [] : [level]);
  const [left, right] = bounds(points.map(([x]) => x)), [bottom, top] = bounds(ys);
  const labels = Array<string>(height).fill("");
  const rowOf = (y: number) => Math.round((height * 4 - 1) * (top - y) / (top - bottom || 1));
  if (level !== undefined) labels[rowOf(level) >> 2] = format(level);
  labels[0] = format(top);
  labels[height - 1] = format(bottom);
  const margin = Math.max(...labels.map((label) => label.length));
  const columns = Math.max(1, options.width - margin - 2);
  const columnOf = (x: number) => Math.round((columns * 2 - 1) * (x - left) / (right - left || 1));

  const cells = Array.from({ length: height }, () => new Uint8Array(columns));
  const marks = new Map<number, string>();
  const dot = (column: number, row: number) => cells[row >> 2][column >> 1] |= DOTS[row & 3][column & 1];
  if (level !== undefined) {
    for (let column = 0; column < columns * 2; column += 4) dot(column, rowOf(level));
  }
  for (const { x, y, mark } of curves) {
    let previous: [number, number] | undefined;
    for (let i = 0; i < x.length; i++) {
      if (!Number.isFinite(x[i]) || !Number.isFinite(y[i])) continue;
      const at: [number, number] = [columnOf(x[i]), rowOf(y[i])];
      if (mark !== undefined) marks.set((at[1] >> 2) * columns + (at[0] >> 1), mark);
      else {
        const [from, steps] = [
          previous ?? at,
          Math.max(1, ...[0, 1].map((k) => Math.abs(at[k] - (previous ?? at)[k]))),
        ];
        for (let s = 0; s <= steps; s++) {
          dot(
            Math.round(from[0] + (at[0] - from[0]) * s / steps),
            Math.round(from[1] + (at[1] - from[1]) * s / steps),
          );
        }
      }
      previous = at;
    }
  }
  return cells.map((row, r) => {
    const drawn = Array.from(
      row,
      (dots, c) => marks.get(r * columns + c) ?? (dots === 0 ? " " : String.fromCharCode(BRAILLE + dots)),
    );
    return `${labels[r].padStart(margin)} ${labels[r] === "" ? "|" : "+"}${drawn.join("")}`.trimEnd();
  });
}

function bounds(values: readonly number[]): [number, number] {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return [low, high];
}
