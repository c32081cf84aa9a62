/**
 * What `cloze reproduce` is going to do: from its flags, or from the folder of an experiment that goes on. Also the flags
 * of every command that it runs, so that they can be told. Runs nothing. Called by the reproduce command.
 */

import { ClozeError } from "../../config/cloze_error.ts";
import { readSealed } from "../../config/sealed_json.ts";
import { type Claim, CLAIMS, type Condition, sameStart } from "../../experiments/claims.ts";
import { expandPaths } from "../../data/mod.ts";
import { exists } from "../../training/files.ts";
import { quoted } from "../command_line.ts";
import { checkTextFlags, findOptions, textFlagsFor } from "../corpus.ts";
import { nearest, type Values } from "../flags/flag.ts";
import type { REPRODUCE } from "../flags/tables.ts";
import { callerFolder, resolve } from "../paths.ts";

/** Checkpoints of a run; those that a claim compares are among them. */
export const SAVES = 16;

/** What an experiment is, kept in its folder: going on with other flags would mix two experiments. */
export interface ExperimentPlan {
  experiment: string;
  /** Flags of every pretraining run. */
  shared: string[];
  train: string;
  valid: string;
  vocabulary: string[];
  /** Flags of every fine-tuning; absent if there are none. */
  labeled?: string[];
  seeds: number;
  steps: number;
}

/** A length of runs that has a whole number of steps between checkpoints: at most the one that is asked for. */
export function wholeSteps(steps: number): number {
  return Math.max(SAVES, Math.floor(steps / SAVES) * SAVES);
}

/** A plan before it is known how long its runs are. */
export type ExperimentOutline = Omit<ExperimentPlan, "steps">;

/** The claim of that name. */
export function claimOf(name: string | undefined): Claim {
  const names = Object.keys(CLAIMS);
  if (name !== undefined && Object.hasOwn(CLAIMS, name)) return CLAIMS[name as keyof typeof CLAIMS];
  const near = name === undefined ? undefined : nearest(name, names);
  throw new ClozeError(
    "usage",
    name === undefined
      ? "cloze reproduce needs the name of an experiment"
      : `there is no experiment ${JSON.stringify(name)}`,
    { hint: near === undefined ? `the experiments are ${names.join(", ")}` : `did you mean ${near}?` },
  );
}

/** What the flags ask for. Each command gets those of the flags that apply to what it reads. */
export async function outlineOf(
  experiment: string,
  values: Values<typeof REPRODUCE.flags>,
  more: string[],
): Promise<ExperimentOutline> {
  const data = [...(values.data ?? []), ...more];
  if (data.length === 0 || values.train === undefined || values.valid === undefined) {
    throw new ClozeError("usage", "cloze reproduce needs --data PATH…, --train FILE and --valid FILE");
  }
  if ((values.steps === undefined) === (values.budget === undefined)) {
    throw new ClozeError("usage", "give either --steps or --budget: one of them says how long the experiment is");
  }
  const flags = (...names: (keyof typeof values)[]) =>
    names.flatMap((name) => (values[name] === undefined ? [] : [`--${name}`, String(values[name])]));
  const paths = data.flatMap((path) => ["--data", path]);
  const files = await expandPaths(data, callerFolder(), findOptions(values));
  checkTextFlags(values, [...files, values.train, values.valid]);
  const exclude = (values.exclude ?? []).flatMap((glob) => ["--exclude", glob]);
  const text = [...flags(...textFlagsFor(values, files)), ...exclude];
  const allowed = values["allow-unknown"] === true ? ["--allow-unknown"] : [];
  const labeled = [
    ...flags(...textFlagsFor(values, [values.train, values.valid]), "label-column", "device", "dtype"),
    ...allowed,
  ];
  return {
    experiment,
    shared: [...paths, ...text, ...flags("preset", "max-sequence-length", "threads", "device", "dtype"), ...allowed],
    train: values.train,
    valid: values.valid,
    vocabulary: [...text, ...flags("vocab-size")],
    ...(labeled.length === 0 ? {} : { labeled }),
    seeds: values.seeds ?? 3,
  };
}

/**
 * The plan that the folder holds, or `undefined` if it holds none.
 *
 * @throws {ClozeError} `input` if it is of other flags.
 */
export async function keptPlan(
  outline: ExperimentOutline,
  steps: number | undefined,
  output: string,
): Promise<ExperimentPlan | undefined> {
  const path = `${output}/plan.json`;
  if (!await exists(path)) return undefined;
  const kept = (await readSealed(path)).value as unknown as ExperimentPlan;
  const same = JSON.stringify({ ...kept, steps: 0 }) === JSON.stringify({ ...outline, steps: 0 });
  if (!same || (steps !== undefined && wholeSteps(steps) !== kept.steps)) {
    throw new ClozeError("input", `${output} holds an experiment that was begun with other flags`, {
      hint: "give the same flags to go on with it, or another --output",
    });
  }
  return kept;
}

/** @throws {ClozeError} `input` if a labeled file is not there: better now than after hours of pretraining. */
export async function checkLabeled({ train, valid }: ExperimentOutline): Promise<void> {
  for (const file of [train, valid]) {
    if (!await exists(resolve(file))) throw new ClozeError("input", `the file ${file} does not exist`);
  }
}

/** Flags that learn the vocabulary which all runs share. */
export function tokenizerFlags({ shared, vocabulary }: ExperimentOutline, output: string): string[] {
  const paths = shared.filter((word, i) => word === "--data" || shared[i - 1] === "--data");
  return [...paths, ...vocabulary, "--output", `${output}/tokenizer`];
}

/** Flags of a pretraining run but for its length and its folder. */
export function pretrainFlags(plan: ExperimentOutline, condition: Condition, seed: number, output: string): string[] {
  return [...plan.shared, ...condition.flags, "--tokenizer", `${output}/tokenizer`, "--seed", String(seed)];
}

/** Flags of a pretraining run of the experiment. */
export function runFlags(plan: ExperimentPlan, condition: Condition, seed: number, output: string): string[] {
  const flags = pretrainFlags(plan, condition, seed, output);
  return [...flags, "--steps", String(plan.steps), ...saving(plan), "--output", runFolder(output, condition, seed)];
}

/** Flags that keep every checkpoint of a run. */
function saving(plan: ExperimentPlan): string[] {
  return ["--save-every", String(plan.steps / SAVES), "--keep-checkpoints", String(SAVES)];
}

/** Flags of a fine-tuning. */
export function finetuneFlags(
  plan: ExperimentOutline,
  claim: Claim,
  model: string,
  seed: number,
  target: string,
): string[] {
  const at = plan.shared.indexOf("--threads");
  return ["--model", model, "--train", plan.train, "--valid", plan.valid, "--output", target, "--seed", String(seed)]
    .concat(plan.labeled ?? [], at < 0 ? [] : plan.shared.slice(at, at + 2), claim.finetune);
}

/** The checkpoints at which a condition is measured; 0 is without any pretraining. */
export function measuredSteps(claim: Claim, condition: Condition, steps: readonly number[]): number[] {
  return sameStart(claim.conditions, condition) === condition ? [0, ...steps] : [...steps];
}

/** Folder of a pretraining run. */
export const runFolder = (output: string, condition: Condition, seed: number) =>
  `${output}/pretraining/${condition.name}-${seed}`;

/** Folder of the model at a checkpoint. */
export const modelFolder = (output: string, condition: Condition, seed: number, step: number) =>
  `${output}/models/${condition.name}-${seed}/step-${step}`;

/** Every command of the experiment, as it could be typed. */
export function commandsOf(plan: ExperimentPlan, claim: Claim, steps: readonly number[], output: string): string[] {
  const commands = [["train-tokenizer", ...tokenizerFlags(plan, output)]];
  for (let seed = 0; seed < plan.seeds; seed++) {
    for (const condition of claim.conditions) {
      commands.push(["pretrain", ...runFlags(plan, condition, seed, output)]);
      for (const step of measuredSteps(claim, condition, steps)) {
        const model = modelFolder(output, condition, seed, step === 0 ? steps[0] : step);
        const flags = finetuneFlags(plan, claim, model, seed, `${output}/finetuning`);
        commands.push(["finetune", ...flags, ...(step === 0 ? ["--from-scratch"] : [])]);
      }
    }
  }
  return commands.map((words) => `cloze ${words.map(quoted).join(" ")}`);
}
