/**
 * Campaign: at every file call of a command, by its number, the process is killed before it, or in the middle of it, or the
 * call fails as on a full or a broken disk. Then the same command, or `--resume`, has to get to the same result.
 */

import type { Outcome, Place } from "../../support.ts";
import type { Campaign, Figures } from "./campaign.ts";
import { randomFrom } from "./kills.ts";
import { disorder, expected, inParallel, recover, send, type Victim, victimPlace, victims } from "./victim.ts";

const KINDS = ["kill", "tear", "ENOSPC", "EIO"] as const;
/** Longest time of a command: it hangs, if it takes longer. */
const PATIENCE_MS = 60_000;
/** Cases of the short form, a command. */
const SAMPLE = 3;

export const FILE_CALLS: Campaign = {
  name: "file-calls",
  goal: "a run that is killed, torn or refused at any file call goes on to the same weights",
  async run(size, seed) {
    const figures: Figures = { tried: 0, outcomes: {}, bad: [] };
    using place = await victimPlace();
    const library = await buildShim(place);
    if (library === undefined) return { ...figures, skipped: "no C compiler (cc) on Linux to build the shim with" };
    for (const victim of victims(6)) {
      const good = await expected(place, victim);
      const calls = await countCalls(place, victim, library);
      figures.outcomes[`file calls of ${victim.name}`] = calls;
      const all = KINDS.flatMap((kind) => Array.from({ length: calls }, (_, i) => ({ kind, at: i + 1 })));
      const cases = size === "long" ? shuffled(all, seed) : sampleOf(all, seed);
      await inParallel(2, cases, async ({ kind, at }) => {
        const what = await tryOne(place, victim, library, kind, at, good, figures);
        if (what === undefined) return;
        figures.bad.push(`${victim.name}, ${kind} at call ${at}: ${what}`);
        console.error(`  BAD: ${figures.bad.at(-1)}`);
      });
    }
    return figures;
  },
};

/** Some of the cases, spread over all of them. */
function sampleOf<T>(all: T[], seed: number): T[] {
  const every = all.length / SAMPLE;
  return Array.from({ length: SAMPLE }, (_, i) => all[Math.floor((i + (0.37 * seed) % 1) * every)]);
}

/** In another order, so that the first ones are of every kind. */
function shuffled<T>(all: readonly T[], seed: number): T[] {
  const random = randomFrom(seed);
  return all.map((item) => ({ item, at: random() })).sort((a, b) => a.at - b.at).map(({ item }) => item);
}

/** Builds the library that is preloaded; `undefined` where that cannot be done. */
async function buildShim(place: Place): Promise<string | undefined> {
  if (Deno.build.os !== "linux") return undefined;
  const library = `${place.path}/file_calls.so`;
  const source = new URL("file_calls.c", import.meta.url).pathname;
  const args = ["-O1", "-shared", "-fPIC", "-o", library, source, "-ldl"];
  const built = await new Deno.Command("cc", { args, stderr: "null" }).output().catch(() => undefined);
  return built?.success === true ? library : undefined;
}

/** Runs a command with the library, which does that at the call of that number. */
async function faulty(place: Place, args: string[], folder: string, env: Record<string, string>) {
  const child = place.start(args, { FAULT_FOLDER: `${place.path}/${folder}`, ...env });
  await child.stdin.close();
  const patience = setTimeout(() => send(child, "SIGTERM"), PATIENCE_MS);
  const { code, signal, stdout, stderr } = await child.output();
  clearTimeout(patience);
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const outcome: Outcome = { code, stdout: decode(stdout), stderr: decode(stderr) };
  return { outcome, signal };
}

async function countCalls(place: Place, victim: Victim, library: string): Promise<number> {
  const log = `${place.path}/${victim.name}.log`;
  const folder = `count-${victim.name}`;
  const env = { LD_PRELOAD: library, FAULT_LOG: log };
  const { outcome } = await faulty(place, [...victim.args, "--output", folder], folder, env);
  if (outcome.code !== 0) throw new Error(outcome.stderr);
  return Deno.readTextFileSync(log).trim().split("\n").length;
}

async function tryOne(
  place: Place,
  victim: Victim,
  library: string,
  kind: typeof KINDS[number],
  at: number,
  good: string,
  figures: Figures,
): Promise<string | undefined> {
  const folder = `${victim.name}-${kind}-${at}`;
  const env = { LD_PRELOAD: library, FAULT_KIND: kind, FAULT_AT: String(at) };
  const { outcome, signal } = await faulty(place, [...victim.args, "--output", folder], folder, env);
  figures.tried++;
  const how = signal === "SIGKILL" ? `killed (${kind})` : outcome.code === 0 ? `survived ${kind}` : `ended by ${kind}`;
  figures.outcomes[how] = (figures.outcomes[how] ?? 0) + 1;
  const wrong = disorder(outcome, signal) ??
    await recover(place, victim, folder, at % 2 === 0 ? "again" : "resume", good);
  if (wrong === undefined) await Deno.remove(`${place.path}/${folder}`, { recursive: true }).catch(() => {});
  return wrong;
}
