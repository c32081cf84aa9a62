/**
 * Campaign: one press of Ctrl-C in a terminal, at any time of a run, straight, through the runner of tasks and through npx;
 * also SIGTERM to all of its processes, and the terminal being closed. The run has to be saved, each time.
 */

import type { Place } from "../../support.ts";
import type { Campaign, Figures } from "./campaign.ts";
import { randomFrom } from "./kills.ts";
import { inParallel, victimPlace, victims } from "./victim.ts";

const root = new URL("../../..", import.meta.url).pathname;
const PRESSES = { long: 30, short: 2 };
/** After training has begun, or after the first line: then it may not have. */
const LATEST_MS = 700;
/** Wall clock in which a run has to be saved and ended, on a busy machine. */
const PROMPT_S = 20;

const WAYS: Record<string, string[]> = {
  direct: ["run", "-q", "-P=pretrain", "cli/main.ts", "pretrain"],
  task: ["run", "pretrain"],
  npx: ["-y", "deno", "run", "pretrain"],
};

/** What terminal.py says. */
interface Pressed {
  code: number | null;
  pressed: boolean;
  seconds: number;
  output: string;
}

export const PRESSES_IN_TERMINAL: Campaign = {
  name: "presses",
  goal: "one press of Ctrl-C saves the run, however many programs send it on",
  async run(size, seed) {
    const figures: Figures = { tried: 0, outcomes: {}, bad: [] };
    if (Deno.build.os === "windows" || !await works("python3", "-c", "import pty")) {
      return { ...figures, skipped: "no python3 with a pty to make a terminal with" };
    }
    using place = await victimPlace();
    const random = randomFrom(seed);
    const ways = Object.keys(WAYS).filter((way) => size === "long" || way !== "npx");
    const hasNpx = ways.includes("npx") && await works("npx", "-y", "deno", "--version");
    const cases = ways.flatMap((way) =>
      Array.from({ length: PRESSES[size] }, (_, i) => ({
        way,
        key: i % 5 === 3 ? "hangup" : i % 5 === 4 ? "term" : "ctrl-c",
        isEarly: i % 6 === 5,
        after: random() * LATEST_MS,
      }))
    ).filter(({ way }) => way !== "npx" || hasNpx);
    if (!hasNpx) figures.outcomes["not tried through npx, or only in the long form"] = 1;
    await inParallel(2, cases, async ({ way, key, isEarly, after }) => {
      const folder = `${place.path}/${figures.tried++}`;
      const what = await press(place, way, key, isEarly, after, folder);
      const name = `${way}, ${key}${isEarly ? " before training" : ""}`;
      figures.outcomes[name] = (figures.outcomes[name] ?? 0) + 1;
      if (what !== undefined) figures.bad.push(`${name}, after ${Math.round(after)} ms: ${what}`);
    });
    return figures;
  },
};

/** Presses once, and says what is wrong with what came of it. */
async function press(
  place: Place,
  way: string,
  key: string,
  isEarly: boolean,
  after: number,
  folder: string,
): Promise<string | undefined> {
  const [pretrain] = victims(1);
  const flags = pretrain.args.slice(1).map((word, i, all) => {
    if (all[i - 1] === "--data" || all[i - 1] === "--config") return `${place.path}/${word}`;
    return ["--steps", "--save-every", "--evaluate-every"].includes(all[i - 1]) ? "1000000" : word;
  });
  const command = [way === "npx" ? "npx" : Deno.execPath(), ...WAYS[way], ...flags, "--output", folder];
  const watch = isEarly ? "data " : `@${folder}/metrics.jsonl`;
  const { INIT_CWD: _, ...env } = Deno.env.toObject();
  const { stdout, stderr } = await new Deno.Command("python3", {
    args: [new URL("terminal.py", import.meta.url).pathname, key, String(after), watch, ...command],
    cwd: root,
    clearEnv: true,
    env,
  }).output();
  let result: Pressed;
  try {
    result = JSON.parse(new TextDecoder().decode(stdout));
  } catch {
    return `the terminal failed: ${new TextDecoder().decode(stderr)}`;
  }
  return judge(result, key, folder);
}

function judge({ code, pressed, seconds, output }: Pressed, key: string, folder: string): string | undefined {
  const said = () => JSON.stringify(output.slice(-600));
  if (!pressed) return `it ended before: ${said()}`;
  if (seconds > PROMPT_S) return `it took ${seconds.toFixed(1)} s to end`;
  const metrics = linesOf(`${folder}/metrics.jsonl`);
  const hasBegun = metrics.some(({ kind }) => kind === "train");
  const steps = [...listed(`${folder}/checkpoints`)].map((name) => Number(/^step-(\d+)$/.exec(name)?.[1])).sort((
    a,
    b,
  ) => a - b);
  const end = metrics.at(-1);
  if (hasBegun && (end?.kind !== "end" || end.interrupted !== true)) return `it was not ended in order: ${said()}`;
  if (hasBegun && steps.at(-1) !== end!.step) return `step ${end!.step} was not saved: ${steps}; ${said()}`;
  if (key === "hangup") return undefined; // nobody saw what it said
  if (/error:/.test(output)) return `a wanted stop is told as an error: ${said()}`;
  if (!/stopped (after step|before training)/.test(output)) return `it does not say that it stopped: ${said()}`;
  if (hasBegun && !output.includes(`deno run pretrain --resume ${folder}`)) {
    return `it does not say how to go on: ${said()}`;
  }
  return code === 130 || (key === "term" && code === 143) ? undefined : `exit code ${code}: ${said()}`;
}

function linesOf(path: string): { kind: string; step: number; interrupted?: boolean }[] {
  try {
    return Deno.readTextFileSync(path).trim().split("\n").filter(Boolean).map((line) => JSON.parse(line));
  } catch {
    return [];
  }
}

function listed(path: string): string[] {
  try {
    return [...Deno.readDirSync(path)].map(({ name }) => name);
  } catch {
    return [];
  }
}

async function works(program: string, ...args: string[]): Promise<boolean> {
  const options = { args, stdin: "null", stdout: "null", stderr: "null" } as const;
  return await new Deno.Command(program, options).output().then(({ success }) => success, () => false);
}
