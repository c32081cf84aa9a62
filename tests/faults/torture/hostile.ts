/** Folders of models and runs that someone has made to harm: each is refused by name, or answered as it should be. */

import { type Place, SMALL_RUN, smallPlace } from "../../support.ts";
import type { Campaign, Figures } from "./campaign.ts";
import { fieldsOf, type HostileCase, hostileCases } from "./hostile_cases.ts";
import { Draw } from "./random.ts";

/** Memory that a command may write to, in KiB, and time that it may take. */
const MEMORY_KIB = 1_500_000;
const PATIENCE_MS = 60_000;

const LINE = "The [MASK] sees the dog.\n";
const MOST = { short: 30, long: Infinity };

// deno-lint-ignore no-control-regex
const RAW = /[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

export const HOSTILE: Campaign = {
  name: "hostile",
  goal: "every hostile folder is refused by name or answered right, in bounded time and memory",
  async run(size, seed): Promise<Figures> {
    const figures: Figures = { tried: 0, outcomes: {}, bad: [] };
    if (Deno.build.os !== "linux") return { ...figures, skipped: "its guard on memory is Linux's" };
    using place = smallPlace();
    await makeGoodFolders(place);
    const draw = new Draw(seed);
    const good = new Map<string, Outcome>();
    for (const one of hostileCases(draw, MOST[size], await fields(place))) {
      figures.tried++;
      const before = `${one.base} ${one.args.join(" ")}`;
      if (!good.has(before)) {
        const answer = await outcome(place, { ...one, spoil: () => {} });
        if (answer.code !== 0) throw new Error(`the good folder is refused: ${answer.stderr}`);
        good.set(before, answer);
      }
      const came = await outcome(place, one);
      const what = one.sameAnswer && came.code === 0 && came.stdout !== good.get(before)!.stdout
        ? "another answer without a word"
        : wrongWith(came);
      const name = what ?? (came.code === 0 ? "answered" : "refused by name");
      figures.outcomes[name] = (figures.outcomes[name] ?? 0) + 1;
      if (what !== undefined) figures.bad.push(`${one.name}: ${what}: ${came.stderr.slice(-300)}`);
    }
    return figures;
  },
};

/** A pretrained model and a classifier, as small as they can be. */
async function makeGoodFolders(place: Place): Promise<void> {
  place.file("train.tsv", "text\tlabel\nThe cat sees.\tno\nThe dog hears.\tyes\n");
  for (
    const args of [
      ["pretrain", ...SMALL_RUN, "--output", "model", "--steps", "4"],
      ["finetune", "--model", "model", "--train", "train.tsv", "--valid", "train.tsv", "--output", "classifier"],
    ]
  ) {
    const { code, stderr } = await place.cloze(args);
    if (code !== 0) throw new Error(stderr);
  }
  // Who spoils a file can make another checksum, and folders of other programs have none.
  for (const base of ["model", "classifier"]) await Deno.remove(`${place.path}/${base}/SHA256SUMS`).catch(() => {});
}

/** The fields of the JSON files of the good folders. */
async function fields(place: Place): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = {};
  for (const base of ["model", "classifier"]) {
    for await (const { name } of Deno.readDir(`${place.path}/${base}`)) {
      if (!name.endsWith(".json")) continue;
      found[`${base}/${name}`] = fieldsOf(JSON.parse(await Deno.readTextFile(`${place.path}/${base}/${name}`)));
    }
  }
  return found;
}

interface Outcome {
  code: number;
  signal: string | null;
  stdout: string;
  stderr: string;
  late: boolean;
}

/** What a command does with a copy of a folder in which something is wrong. */
async function outcome(place: Place, { base, args, spoil }: HostileCase): Promise<Outcome> {
  const target = `${place.path}/target`;
  await new Deno.Command("cp", { args: ["-r", `${place.path}/${base}`, target] }).output();
  try {
    await spoil(target);
    const config = new URL("../../../deno.json", import.meta.url).pathname;
    const main = new URL("../../../cli/main.ts", import.meta.url).pathname;
    const command = [Deno.execPath(), "run", "-q", "-A", `--config=${config}`, main, ...args];
    const child = new Deno.Command("sh", {
      args: ["-c", `ulimit -d ${MEMORY_KIB}; exec "$@"`, "sh", ...command],
      cwd: place.path,
      env: place.env,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    let late = false;
    const patience = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, PATIENCE_MS);
    const done = child.output();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(LINE)).then(() => writer.close()).catch(() => {});
    const { code, signal, stdout, stderr } = await done;
    clearTimeout(patience);
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, signal, stdout: text(stdout), stderr: text(stderr), late };
  } finally {
    await Deno.remove(target, { recursive: true });
  }
}

/** Why an outcome is neither an answer nor an error that says what is wrong. */
function wrongWith({ code, signal, stdout, stderr, late }: Outcome): string | undefined {
  if (late) return "it hangs";
  if (signal !== null || code > 2) return `it ended with ${signal ?? code}`;
  if (/did not expect|panicked|\ba bug\b/.test(stderr)) return "an error that is none of ours";
  if (/\n\s+at |Uncaught|Fatal/.test(stderr)) return "a stack trace";
  if (RAW.test(stdout + stderr)) return "a control character";
  if (code !== 0 && !/^error: /m.test(stderr)) return "a refusal that says nothing";
  return undefined;
}
