/**
 * Campaign: bytes of a run's and of a classifier's folder are changed, cut off, zeroed and removed, file by file, and the
 * commands that read the file are called. Each has to end in an error that names what is damaged, in a fallback that is
 * said, or in the same result as of the folder that nothing happened to.
 */

import { type Place, SMALL_RUN, smallPlace } from "../../support.ts";
import type { Campaign, Figures } from "./campaign.ts";
import { type CommandResult, Commands } from "./commands.ts";
import { randomFrom } from "./kills.ts";

const CASES = { long: 1500, short: 40 };
/** Most memory that a command may take more than before, with a model of 100 kB. */
const MOST_MB = 300;
const QUICK = ["--threads", "1"];
const PAUSES = ["--save-every", "2", "--evaluate-every", "2", ...QUICK];

/** A way to read a folder. */
interface Check {
  name: string;
  args: (folder: string, place: Place) => string[];
  /** What has to be the same, if the command says that all is well. */
  result: (outcome: CommandResult, folder: string) => string;
}

const evaluations = (folder: string) =>
  Deno.readTextFileSync(`${folder}/metrics.jsonl`).split("\n").flatMap((line) => {
    try {
      const { kind, step, loss } = JSON.parse(line);
      return kind === "evaluation" ? [`${step}: ${loss}`] : [];
    } catch {
      return [];
    }
  }).join();

const printed = ({ stdout }: CommandResult) => stdout;

const RESUME: Check = {
  name: "pretrain --resume",
  args: (folder) => ["pretrain", "--resume", folder, ...PAUSES],
  result: ({ stderr }, folder) =>
    Deno.readFileSync(`${folder}/model.safetensors`).toHex() +
    (stderr.includes("metrics.jsonl") ? "" : evaluations(folder)),
};
const PREDICT: Check = {
  name: "predict",
  args: (folder, place) => ["predict", `${place.path}/lines.txt`, "--model", folder, "--json", ...QUICK],
  result: printed,
};
const REPORT: Check = { name: "report", args: (folder) => ["report", folder, "--text"], result: printed };
const INSPECT: Check = {
  name: "inspect",
  args: (folder) => ["inspect", "--model", folder, "--batches", "20", "--json"],
  result: printed,
};

/** What reads a file of a folder, and what of that folder. */
function checksOf(folder: string, file: string): Check[] {
  const isModel = /^(config\.json|model\.safetensors|SHA256SUMS|tokenizer.*|vocab\.txt|special_tokens.*)$/.test(file);
  if (folder === "classifier") return isModel ? [PREDICT] : [REPORT];
  if (isModel) return [PREDICT, RESUME];
  if (/^data\/train\./.test(file)) return [RESUME, INSPECT];
  if (/^(run\.json|metrics\.jsonl)$/.test(file)) return [RESUME, REPORT];
  return [RESUME];
}

/** Something bad that is done to a file. */
interface Damage {
  folder: string;
  file: string;
  kind: "flip" | "zeros" | "cut" | "longer" | "removed";
  at: number;
  check: Check;
}

export const DAMAGES: Campaign = {
  name: "damages",
  goal: "a damaged byte gives an error that names it, a fallback that is said, or the same result",
  async run(size, seed) {
    const figures: Figures = { tried: 0, outcomes: {}, bad: [] };
    using place = smallPlace();
    await using commands = new Commands();
    await prepare(place, commands);
    const good = new Map<Check, string>();
    for (const [folder, check] of [["run", RESUME], ["run", PREDICT], ["run", REPORT], ["run", INSPECT]] as const) {
      good.set(check, await expected(place, commands, folder, check));
    }
    // The same two commands on the classifier.
    const classified = new Map<Check, string>();
    for (const check of [PREDICT, REPORT]) {
      classified.set(check, await expected(place, commands, "classifier", check));
    }
    for (const damage of damages(place, size, randomFrom(seed))) {
      const whole = (damage.folder === "run" ? good : classified).get(damage.check)!;
      const what = await outcome(place, commands, damage, whole);
      figures.tried++;
      const { check: { name }, kind, folder, file, at } = damage;
      if (what.startsWith("BAD")) figures.bad.push(`${name}: ${kind} at ${at} of ${folder}/${file}: ${what}`);
      const outcomeName = `${name}: ${what.replace(/:.*/s, "")}`;
      figures.outcomes[outcomeName] = (figures.outcomes[outcomeName] ?? 0) + 1;
    }
    return figures;
  },
};

/** A run that is not at its end, with two checkpoints (of steps 2 and 4), and a classifier. */
async function prepare(place: Place, commands: Commands): Promise<void> {
  const at = (name: string) => `${place.path}/${name}`;
  place.file("lines.txt", "The [MASK] sees the dog.\nEvery cat ____ a dog at [MASK].\n");
  place.file("labeled.tsv", "text\tlabel\n" + "The cat sees the dog.\ta\nEvery bird likes a cat.\tb\n".repeat(8));
  const small = SMALL_RUN.map((part) => ["text.txt", "config.json"].includes(part) ? at(part) : part);
  const labeled = ["--train", at("labeled.tsv"), "--valid", at("labeled.tsv"), "--epochs", "1"];
  const pretrain = ["pretrain", ...small, "--output", at("run"), "--steps", "6", "--keep-checkpoints", "3", ...PAUSES];
  const finetune = ["finetune", "--model", at("run"), ...labeled, "--output", at("classifier"), ...QUICK];
  for (const args of [pretrain, finetune]) {
    const { code, stderr } = await commands.run(...args);
    if (code !== 0) throw new Error(stderr);
  }
  // As a kill between two checkpoints leaves it; what the classifier was made of is still there.
  Deno.removeSync(at("run/checkpoints/step-6"), { recursive: true });
}

async function expected(place: Place, commands: Commands, folder: string, check: Check): Promise<string> {
  const copy = copyOf(place, folder);
  const outcome = await commands.run(...check.args(copy, place));
  if (outcome.code !== 0) throw new Error(outcome.stderr);
  return check.result(outcome, copy);
}

/** A copy under the same name: reports have it in them. */
function copyOf(place: Place, folder: string): string {
  const parent = `${place.path}/copy`;
  try {
    Deno.removeSync(parent, { recursive: true });
  } catch {
    // The first one.
  }
  const copy = `${parent}/${folder}`;
  for (const file of filesOf(`${place.path}/${folder}`)) {
    Deno.mkdirSync(`${copy}/${file}`.replace(/\/[^/]*$/, ""), { recursive: true });
    Deno.copyFileSync(`${place.path}/${folder}/${file}`, `${copy}/${file}`);
  }
  return copy;
}

/** Paths of all files in a folder. */
function filesOf(folder: string, prefix = ""): string[] {
  return [...Deno.readDirSync(`${folder}/${prefix}`)].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesOf(folder, `${prefix}${name}/`) : [`${prefix}${name}`]
  ).sort();
}

/** The damages: as many of each file, half of them where a file has its structure. */
function damages(place: Place, size: "short" | "long", random: () => number): Damage[] {
  const files = ["run", "classifier"].flatMap((folder) =>
    filesOf(`${place.path}/${folder}`).filter((file) => file !== ".lock").map((file) => ({ folder, file }))
  );
  const all: Damage[] = [];
  const each = Math.ceil(CASES[size] / files.length);
  for (const { folder, file } of files) {
    const { size: length } = Deno.statSync(`${place.path}/${folder}/${file}`);
    const checks = checksOf(folder, file);
    for (let i = 0; i < each; i++) {
      const kinds = ["flip", "flip", "flip", "flip", "zeros", "flip", "flip", "cut", "longer", "removed"] as const;
      const kind = size === "short" ? kinds[Math.floor(10 * random())] : kinds[i % kinds.length];
      all.push({ folder, file, kind, at: placeIn(length, random), check: checks[i % checks.length] });
    }
  }
  return all;
}

/** A byte of a file: near its ends, near the beginning of a page, or anywhere. */
function placeIn(length: number, random: () => number): number {
  const below = (n: number) => Math.floor(n * random());
  const near = [
    () => below(32),
    () => length - 1 - below(32),
    () => 4096 * below(Math.ceil(length / 4096)) + below(16) - 8,
    () => below(length),
    () => below(length),
  ][below(5)]();
  return Math.max(0, Math.min(length - 1, near));
}

/** Does the damage and names what came of it; `BAD: …` is what must not be. */
async function outcome(place: Place, commands: Commands, damage: Damage, whole: string): Promise<string> {
  const copy = copyOf(place, damage.folder);
  const path = `${copy}/${damage.file}`;
  apply(damage, path);
  const args = damage.check.args(copy, place);
  const result = await commands.run(...args);
  const { code, stderr, grown_mb } = result;
  if (code === -1) return `BAD: ${stderr}`;
  if (/\n\s+at .*:\d+:\d+|panicked|did not expect/.test(stderr)) return `BAD: ${stderr.slice(-400)}`;
  if (grown_mb > MOST_MB) return `BAD: it took ${grown_mb} MB`;
  if (code === 0) {
    if (damage.check.result(result, copy) === whole) {
      return /note: .*(passed over|damaged|checksum|missing|lines)/.test(stderr) ? "fallback, said" : "the same result";
    }
    if (/note: .*(metrics\.jsonl|run\.json)/.test(stderr)) return "left out, said";
    // Whole lines at the end are missing: what a kill leaves, too.
    if (result.stdout.includes("No end is recorded")) return "said to have no end";
    return "BAD: another result in silence";
  }
  const name = damage.file.replace(/.*\//, "");
  if (!stderr.includes("error: ") || !(stderr.includes(name) || stderr.includes("SHA256SUMS"))) {
    return `BAD: the error does not name it: ${stderr.slice(-400)}`;
  }
  if (!stderr.includes("hint: delete that file")) return "error that names it";
  Deno.removeSync(path);
  const again = await commands.run(...RESUME.args(copy, place));
  if (again.code !== 0) return `BAD: deleting it does not help: ${again.stderr.slice(-400)}`;
  return damage.check === RESUME && RESUME.result(again, copy) !== whole
    ? "BAD: deleting it gives another result"
    : "error that names it, whose hint helps";
}

function apply({ kind, at }: Damage, path: string): void {
  const bytes = Deno.readFileSync(path);
  if (kind === "removed") return Deno.removeSync(path);
  if (kind === "flip" && bytes.length > 0) bytes[at] ^= 1 << (at % 8);
  if (kind === "zeros") bytes.fill(0, at, at + 512);
  const rest = kind === "cut" ? bytes.subarray(0, at) : bytes;
  Deno.writeFileSync(path, kind === "longer" ? new Uint8Array([...rest, 1, 2, 3, 10, 0]) : rest);
}
