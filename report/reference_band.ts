/**
 * How far runs on natural text had come after so many updates: the two runs of docs/experiments.md, experiment 1. Two runs
 * of one size are a landmark, not a law; the report says so where it draws them.
 */

import { MLM } from "../tasks/mlm.ts";

/** What these runs were trained for. */
export const RECORDED_OBJECTIVE: string = MLM.name;

/** Held-out loss as a share of the unigram loss, by update. Checked against docs/experiments/*.csv by a test. */
const KOREAN: readonly [step: number, share: number][] = [
  [463, 0.911],
  [901, 0.7912],
  [1336, 0.7174],
  [1739, 0.674],
  [2120, 0.6373],
  [2392, 0.6158],
  [2633, 0.5985],
  [2941, 0.5846],
  [3185, 0.5743],
  [3508, 0.5687],
];
const ENGLISH: readonly [step: number, share: number][] = [
  [736, 0.951],
  [1430, 0.9001],
  [2070, 0.8372],
  [2632, 0.7948],
  [3008, 0.778],
  [3389, 0.7585],
  [4043, 0.7407],
  [4604, 0.7257],
  [5264, 0.7137],
  [5939, 0.7074],
];

/** The runs that the band lies between, and the held-out loss of guessing by frequency in each. */
export const REFERENCE_RUNS = {
  "ko-mini": { curve: KOREAN, unigram_loss: 6.636 },
  "en-mini": { curve: ENGLISH, unigram_loss: 6.964 },
} as const;

/** The band scaled to a text whose unigram loss is given, nats: where both runs have been, up to update `end`. */
export function referenceBand(unigram_loss: number, end = Infinity): { step: number[]; low: number[]; high: number[] } {
  const from = Math.max(KOREAN[0][0], ENGLISH[0][0]);
  const to = Math.min(end, KOREAN[KOREAN.length - 1][0], ENGLISH[ENGLISH.length - 1][0]);
  const step = [...new Set([from, to, ...KOREAN.map(([step]) => step), ...ENGLISH.map(([step]) => step)])]
    .filter((step) => step >= from && step <= to).sort((a, b) => a - b);
  const shares = step.map((step) => [at(KOREAN, step), at(ENGLISH, step)]);
  return {
    step,
    low: shares.map((pair) => unigram_loss * Math.min(...pair)),
    high: shares.map((pair) => unigram_loss * Math.max(...pair)),
  };
}

function at(curve: readonly [number, number][], step: number): number {
  const i = curve.findIndex(([known]) => known >= step);
  if (curve[i][0] === step) return curve[i][1];
  const [[x0, y0], [x1, y1]] = [curve[i - 1], curve[i]];
  return y0 + (y1 - y0) * (step - x0) / (x1 - x0);
}
