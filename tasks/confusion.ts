/** How a classifier's answers compare with the truth: accuracy and macro-F1, each with its interval. */

import type { ClassificationResult } from "../config/metric.ts";
import { wilson } from "./tally.ts";

/** Counts of [truth][answer]. */
export class Confusion {
  readonly #counts: Float64Array[];

  constructor(classes: number) {
    this.#counts = Array.from({ length: classes }, () => new Float64Array(classes));
  }

  add(truth: number, answer: number): void {
    this.#counts[truth][answer]++;
  }

  get result(): ClassificationResult {
    const cells = this.#counts, classes = cells.map((_, i) => i);
    const there = cells.map((row) => row.reduce((a, b) => a + b, 0));
    const said = classes.map((j) => cells.reduce((sum, row) => sum + row[j], 0));
    const count = there.reduce((a, b) => a + b, 0), n = count;
    if (count === 0) throw new Error("a classifier cannot be measured on no text");
    const right = classes.reduce((sum, i) => sum + cells[i][i], 0);
    // F1 of class i is 2 p_ii / (p_i. + p_.i).
    const slope = classes.map((i) => there[i] + said[i] === 0 ? 0 : 2 * n / (there[i] + said[i]));
    const f1 = classes.map((i) => slope[i] * cells[i][i] / n);
    const counted = classes.filter((i) => there[i] + said[i] > 0).length;
    const macro_f1 = f1.reduce((a, b) => a + b, 0) / counted;
    // Variance of macro-F1 as a function of the multinomial cells p_ij, by its derivative in each.
    let mean = 0, square = 0;
    for (const i of classes) {
      for (const j of classes) {
        const pull = (slope[i] * f1[i] + slope[j] * f1[j]) / 2;
        const derivative = ((i === j ? slope[i] : 0) - pull) / counted;
        mean += derivative * cells[i][j] / n;
        square += derivative ** 2 * cells[i][j] / n;
      }
    }
    const half = 1.959964 * Math.sqrt(Math.max(0, square - mean ** 2) / n);
    return {
      accuracy: right / n,
      accuracy_interval: wilson(right, n),
      macro_f1,
      macro_f1_interval: [Math.max(0, macro_f1 - half), Math.min(1, macro_f1 + half)],
      majority: Math.max(...there) / n,
      count,
      confusion: cells.map((row) => [...row]),
    };
  }
}
