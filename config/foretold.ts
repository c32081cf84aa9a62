/** What to expect of a run before it begins, from runs that were measured: docs/experiments.md, 19. Called by `bench`. */

import type { Preset } from "./model_config.ts";
import { FEW_PASSES } from "./recipe.ts";

/** Held-out losses of runs of so many updates, as shares of guessing's: of film reviews in Korean, and in English. */
interface Measured {
  updates: number;
  shares: readonly [korean: number, english: number];
}

/** By `--recipe fast`, with the preset's own rate and updates, a vocabulary of 8,000 and no text seen twice. */
const MEASURED: Partial<Record<Preset, readonly Measured[]>> = {
  tiny: [
    { updates: 300, shares: [0.788, 0.818] },
    { updates: 1000, shares: [0.597, 0.706] },
    { updates: 3000, shares: [0.515, 0.614] },
  ],
  mini: [
    { updates: 300, shares: [0.818, 0.831] },
    { updates: 1000, shares: [0.603, 0.704] },
    { updates: 3000, shares: [0.482, 0.591] },
  ],
};

/**
 * The held-out loss that a new model comes to, in nats a token: from that of the text which is easier to that of the
 * harder one of the two that were measured. Nothing where no run like it was: other presets, fewer or more updates, or more
 * passes over the text.
 *
 * @param guessing the loss of guessing by frequency, in nats a token.
 */
export function foretoldLoss(
  preset: Preset,
  { updates, passes, guessing }: { updates: number; passes: number; guessing: number },
): [low: number, high: number] | undefined {
  const measured = MEASURED[preset] ?? [];
  const after = measured.findIndex((point) => point.updates >= updates);
  if (after < 0 || updates < measured[0].updates || passes > FEW_PASSES) return undefined;
  const [a, b] = [measured[Math.max(0, after - 1)], measured[after]];
  // Between two of them a loss falls about as the logarithm of the updates rises.
  const part = a === b ? 0 : Math.log(updates / a.updates) / Math.log(b.updates / a.updates);
  const losses = a.shares.map((share, i) => guessing * (share + part * (b.shares[i] - share)));
  return [Math.min(...losses), Math.max(...losses)];
}
