/** Where one condition overtakes another for good. Knows no command and no file. */

import { differenceAt, type Measured } from "./verdict.ts";

/** What is known of a crossing, in updates. */
export interface Crossing {
  /** The last checkpoint at which it is not ahead; nothing if it always is. */
  behind?: number;
  /** The first from which on it is ahead at all of them; nothing if it never is at the end. */
  ahead?: number;
  /** The first from which on the 95% interval of the difference holds no 0; nothing if there is none. */
  surely?: number;
}

/**
 * Where `better` overtakes `than`, by accuracy or by loss.
 *
 * @param steps of the checkpoints that all seeds have been measured at.
 */
export function crossingOf(
  pair: { better: string; than: string; in?: "loss" },
  measured: Measured,
  steps: readonly number[],
): Crossing {
  const differences = steps.map((_, at) => differenceAt(pair, measured, at));
  const behind = differences.findLastIndex(({ mean }) => mean <= 0);
  const unsure = differences.findLastIndex(({ interval }) => interval[0] <= 0);
  const at = (name: keyof Crossing, i: number) => (steps[i] === undefined ? {} : { [name]: steps[i] });
  return { ...at("behind", behind), ...at("ahead", behind + 1), ...at("surely", unsure + 1) };
}
