/**
 * Campaign: commands are killed twice each, at random times, and then called again: the result has to be the same, to the
 * bit. Times are drawn over the whole length of the command, from the start of the process on.
 */

import type { Place } from "../../support.ts";
import type { Campaign, Figures } from "./campaign.ts";
import { disorder, expected, inParallel, recover, send, type Victim, victimPlace, victims } from "./victim.ts";

/** Updates of a run: enough that a kill often falls between two. */
const STEPS = 90;
const RUNS = { long: 100, short: 4 };

export const KILLS: Campaign = {
  name: "kills",
  goal: "a run that is killed twice at any time goes on to the same weights",
  async run(size, seed) {
    const figures: Figures = { tried: 0, outcomes: {}, bad: [] };
    using place = await victimPlace();
    const random = randomFrom(seed);
    const [pretrain, finetune, tokenizer] = victims(STEPS);
    const chosen: Victim[] = Array.from(
      { length: RUNS[size] },
      (_, i) => i % 10 === 9 ? tokenizer : i % 3 === 2 ? finetune : pretrain,
    );
    const known = new Map<Victim, { good: string; duration: number }>();
    for (const victim of new Set(chosen)) {
      const began = performance.now();
      const good = await expected(place, victim);
      known.set(victim, { good, duration: performance.now() - began });
    }
    const cases = chosen.map((victim, i) => ({ victim, i, times: [random(), random()] }));
    await inParallel(2, cases, async ({ victim, i, times }) => {
      const { good, duration } = known.get(victim)!;
      const folder = `${victim.name}-${i}`;
      for (const time of times) {
        const what = await killAfter(place, victim, folder, time * duration, figures);
        if (what !== undefined) {
          figures.bad.push(`${victim.name}, killed after ${Math.round(time * duration)} ms: ${what}`);
        }
      }
      const what = await recover(place, victim, folder, i % 2 === 0 ? "again" : "resume", good);
      if (what !== undefined) figures.bad.push(`${victim.name}, run ${i} of seed ${seed}: ${what}`);
    });
    return figures;
  },
};

/** Starts the command and kills it after that time. */
async function killAfter(place: Place, victim: Victim, folder: string, ms: number, figures: Figures) {
  const child = place.start([...victim.args, "--output", folder]);
  const timer = setTimeout(() => send(child, "SIGKILL"), ms);
  await child.stdin.close().catch(() => {});
  const { code, signal, stdout, stderr } = await child.output();
  clearTimeout(timer);
  figures.tried++;
  const how = signal === "SIGKILL" ? `${victim.name} killed` : `${victim.name} ended before`;
  figures.outcomes[how] = (figures.outcomes[how] ?? 0) + 1;
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return disorder({ code, stdout: decode(stdout), stderr: decode(stderr) }, signal);
}

/** Numbers from 0 to 1 (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
