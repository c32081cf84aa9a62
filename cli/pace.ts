/** How far a piece of work is: percent, rate and time left. Shown by the commands while they read text and learn from it. */

import { clock, grouped } from "../config/numbers.ts";
import { isLive, newProgress, progress } from "./terminal.ts";

/** Work that is done sooner is not worth a word. */
const SILENT_MS = 800;
/** The first seconds are not like the rest: before this time nothing is said of the rate and the time left. */
const KNOWN_AFTER_MS = 3000;
/** A terminal is told no more often; anything else more seldom, as `progress` has it. */
const LIVE_EVERY_MS = 100;

/** What the amounts are of. */
interface Measure {
  /** An amount as people say it. */
  show(amount: number): string;
  /** An amount a second; undefined if it says nothing. */
  rate?(perSecond: number): string;
}

const BYTES: Measure = {
  show: (bytes) => bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : bytes < 1e9 ? `${mb(bytes)} MB` : `${gb(bytes)} GB`,
  rate: (perSecond) => `${mb(perSecond)} MB/s`,
};
const TOKENS: Measure = { show: (tokens) => `${grouped(tokens)} tokens` };

const mb = (bytes: number): string => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);
const gb = (bytes: number): string => (bytes / 1e9).toFixed(1);

/** Takes how much is done, of how much. */
export type Show = (done: number, total: number) => void;

/** Shows how far text has been read: `tokenizing: 37% of 300 MB, 12 MB/s, 16s left`. */
export const bytesPace = (what: string): Show => pace(what, BYTES);

/** Shows how large a vocabulary is: `learning the vocabulary: 37% of 16,000 tokens, 4s left`. */
export const tokensPace = (what: string): Show => pace(what, TOKENS);

function pace(what: string, measure: Measure): Show {
  const began = performance.now();
  let last = -Infinity, isFirst = true;
  // The rate is that since the first word of the work, which has to start first.
  let start: { at: number; done: number } | undefined;
  return (done, total) => {
    const now = performance.now();
    start ??= { at: now, done };
    if (now - began < SILENT_MS || (isLive() && now - last < LIVE_EVERY_MS)) return;
    if (isFirst) newProgress();
    [last, isFirst] = [now, false];
    const perSecond = now - start.at < KNOWN_AFTER_MS ? NaN : 1000 * (done - start.done) / (now - start.at);
    progress(paceLine(what, measure, { done, total, perSecond }));
  };
}

/** The line for work that goes on at that rate; without one, it is not known yet. */
export function paceLine(
  what: string,
  { show, rate }: Measure,
  { done, total, perSecond }: { done: number; total: number; perSecond: number },
): string {
  const share = total > 0 ? Math.min(1, done / total) : 1;
  const parts = [`${what}: ${Math.floor(100 * share)}% of ${show(total)}`];
  if (perSecond > 0 && share < 1) {
    if (rate !== undefined) parts.push(rate(perSecond));
    parts.push(`${clock(1000 * (total - done) / perSecond)} left`);
  }
  return parts.join(", ");
}

/** For tests. */
export const MEASURES: Record<"bytes" | "tokens", Measure> = { bytes: BYTES, tokens: TOKENS };
