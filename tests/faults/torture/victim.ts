/**
 * The commands that campaigns stop, kill and spoil, as small as they can be, and what has to hold afterwards: the same command
 * again, or `--resume`, ends with the weights of a run that nothing happened to.
 */

import { createHash } from "node:crypto";
import { type Outcome, Place, SMALL_CONFIG, SMALL_RUN, smallText } from "../../support.ts";

/** A command that writes a folder. */
export interface Victim {
  name: "pretrain" | "finetune" | "train-tokenizer";
  /** Its arguments, but for the folder. */
  args: string[];
  /** Flags beside `--resume DIR`; none if it cannot be resumed. */
  resume?: string[];
  /** Files of the folder whose content has to be what it was. */
  results: string[];
}

const QUICK = ["--threads", "1"];

/** Labeled texts of two kinds. */
function labeled(count: number): string {
  const texts = ["The cat sees the dog.", "Every bird follows a horse at night."];
  return ["text\tlabel", ...Array.from({ length: count }, (_, i) => `${texts[i % 2]}\t${i % 2}`)].join("\n") + "\n";
}

/** The commands; `steps` of training, with three checkpoints. */
export function victims(steps: number): Victim[] {
  const pretrain = ["pretrain", ...SMALL_RUN, ...QUICK, "--steps", String(steps)];
  const pauses = ["--save-every", String(Math.max(1, Math.floor(steps / 3))), "--evaluate-every", String(steps)];
  return [
    {
      name: "pretrain",
      args: [...pretrain, ...pauses],
      resume: [...QUICK, ...pauses],
      results: [
        "model.safetensors",
        "config.json",
        "tokenizer.json",
        `checkpoints/step-${steps}/training_state.safetensors`,
      ],
    },
    {
      name: "finetune",
      args: [
        "finetune",
        "--model",
        "model",
        "--train",
        "train.tsv",
        "--valid",
        "valid.tsv",
        "--batch-size",
        "4",
        ...QUICK,
      ]
        .concat(["--epochs", String(steps / 3)]),
      resume: QUICK,
      results: ["model.safetensors", "config.json", "tokenizer.json"],
    },
    {
      name: "train-tokenizer",
      args: ["train-tokenizer", "--data", "text.txt", "--vocab-size", "200", ...QUICK],
      results: ["tokenizer.json", "vocab.txt", "tokenizer_config.json", "special_tokens_map.json"],
    },
  ];
}

/** A place with all that they read. */
export async function victimPlace(): Promise<Place> {
  const place = new Place();
  place.file("text.txt", smallText(60));
  place.file("config.json", SMALL_CONFIG);
  place.file("train.tsv", labeled(12));
  place.file("valid.tsv", labeled(4));
  const { code, stderr } = await place.cloze(["pretrain", ...SMALL_RUN, "--output", "model", "--steps", "1", ...QUICK]);
  if (code !== 0) throw new Error(stderr);
  return place;
}

/** What the command leaves when nothing happens, as a hash of each result. */
export async function expected(place: Place, victim: Victim): Promise<string> {
  const folder = `whole-${victim.name}`;
  const { code, stderr } = await place.cloze([...victim.args, "--output", folder]);
  if (code !== 0) throw new Error(stderr);
  return resultOf(place, victim, folder);
}

/** Hashes of the results, and the steps at which the run says that it was measured. */
export function resultOf(place: Place, { results }: Victim, folder: string): string {
  const path = `${place.path}/${folder}`;
  const hashes = results.map((name) => {
    try {
      return `${name} ${createHash("sha256").update(Deno.readFileSync(`${path}/${name}`)).digest("hex").slice(0, 16)}`;
    } catch {
      return `${name} missing`;
    }
  });
  return [...hashes, measured(`${path}/metrics.jsonl`)].join(", ");
}

function measured(path: string): string {
  let text = "";
  try {
    text = Deno.readTextFileSync(path);
  } catch {
    return "no metrics";
  }
  const lines = text.trim().split("\n").map((line) => JSON.parse(line));
  return lines.filter(({ kind }) => kind === "evaluation" || kind === "classification")
    .map(({ split, step }) => `${split ?? "held out"} at ${step}`).join(" ");
}

/** What is wrong with how a command ended that something bad was done to; `undefined` if nothing is. */
export function disorder({ code, stderr, stdout }: Outcome, signal: Deno.Signal | null): string | undefined {
  if (/\n\s+at .*:\d+:\d+|panicked|Stack backtrace|did not expect|Uncaught/.test(stderr)) {
    return `said: ${stderr.slice(-600)}`;
  }
  if (stdout !== "") return `wrote to standard output: ${stdout.slice(0, 200)}`;
  if (signal === "SIGKILL" || [0, 1, 130].includes(code)) return undefined;
  return `ended with ${signal ?? code}: ${stderr.slice(-600)}`;
}

/**
 * Calls the command again, or first `--resume`, and compares with what it leaves when nothing happens.
 *
 * @returns what is wrong; `undefined` if nothing is.
 */
export async function recover(
  place: Place,
  victim: Victim,
  folder: string,
  how: "again" | "resume",
  good: string,
): Promise<string | undefined> {
  const again = [...victim.args, "--output", folder];
  if (how === "resume" && victim.resume !== undefined) {
    const { code, stderr } = await place.cloze([victim.name, "--resume", folder, ...victim.resume]);
    const hasBegun = await Deno.stat(`${place.path}/${folder}/${victim.name === "finetune" ? "finetune" : "run"}.json`)
      .then(() => true, () => false);
    if (code !== 0 && (hasBegun || !stderr.includes("original command"))) {
      return `--resume failed: ${stderr.slice(-600)}`;
    }
    if (code === 0 && resultOf(place, victim, folder) !== good) {
      return `--resume gave another result: ${resultOf(place, victim, folder)}, not ${good}`;
    }
  }
  const { code, stderr } = await place.cloze(again);
  if (code !== 0) return `the same command failed: ${stderr.slice(-600)}`;
  const result = resultOf(place, victim, folder);
  if (result !== good) return `another result: ${result}, not ${good}`;
  if (victim.resume === undefined) return undefined;
  const left = [...Deno.readDirSync(`${place.path}/${folder}`)].find(({ name }) => name.endsWith(".tmp"));
  return left === undefined ? undefined : `${left.name} is left over`;
}

/** Sends a signal to a process that may have ended. */
export function send(child: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    child.kill(signal);
  } catch {
    // It had ended, and nobody had looked yet.
  }
}

/** Does work by several workers, and says on standard error how far it is. */
export async function inParallel<T>(
  workers: number,
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = [...items];
  await Promise.all(Array.from({ length: workers }, async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) {
      await work(item);
      const { length } = waiting;
      if (length > 0 && length % 100 === 0) console.error(`  ${length} of ${items.length} left`);
    }
  }));
}
