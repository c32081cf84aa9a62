/** What a campaign of faults is: it does something bad many times over and counts what came of it. */

/** Figures of a campaign. All of the `bad` ones have to be 0. */
export interface Figures {
  /** How often something bad was done: kills, damaged files, hostile folders, calls. */
  tried: number;
  /** What came of it, by name: how often. */
  outcomes: Record<string, number>;
  /** What must not happen, each with what it takes to see it again. */
  bad: string[];
  /** Why it was not run here, if it was not. */
  skipped?: string;
}

/** A campaign: one file of this folder each. */
export interface Campaign {
  name: string;
  /** What must never be the case, in a sentence. */
  goal: string;
  /**
   * @param size `short` for the suite: seconds, a sample that differs by `seed`; `long` for `deno task torture`: all of it.
   * @param seed of what is drawn at random.
   */
  run(size: "short" | "long", seed: number): Promise<Figures>;
}
