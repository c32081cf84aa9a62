/**
 * `cloze reproduce`: a claim in, a verdict out. It runs the commands that a person would type (train-tokenizer, pretrain,
 * finetune), says which, and keeps every accuracy in the experiment's folder, so that it goes on where it was stopped.
 */

import { ClozeError, messageOf } from "../../config/cloze_error.ts";
import { type Claim, CLAIMS, type Condition } from "../../experiments/claims.ts";
import { Results } from "../../experiments/results.ts";
import { decide, overall } from "../../experiments/verdict.ts";
import { exists, makeFolder, writeWhole } from "../../training/files.ts";
import type { Metric } from "../../training/metrics.ts";
import { nearest, parseFlags, type Values } from "../flags/flag.ts";
import { REPRODUCE } from "../flags/tables.ts";
import { resolve } from "../paths.ts";
import { bold, clock, grouped, note, writeOut } from "../terminal.ts";
import { claimReport } from "./reproduce_report.ts";

/** How long each condition is timed to work out steps from a budget. */
const PROBE_MS = 15_000;
/** The share of an epoch that fine-tuning is timed with, and how many epochs it then takes (finetune's default). */
const PROBE_EPOCHS = 0.1;
const FINETUNE_EPOCHS = 3;
/** Of what is left of a budget, so much is planned: runs also open, evaluate and save. */
const PLANNED = 0.85;

/** Checkpoints of a run; those that a claim compares are among them. */
const SAVES = 16;

/** What an experiment is, kept in its folder: going on with other flags would mix two experiments. */
interface ExperimentPlan {
  experiment: string;
  /** Flags of every pretraining run. */
  shared: string[];
  train: string;
  valid: string;
  vocabulary: string[];
  seeds: number;
  steps: number;
}

/** Runs the command. */
export async function run(args: string[]): Promise<number> {
  const { values, positionals: [name, ...more] } = parseFlags(REPRODUCE, args);
  const claim = claimOf(name);
  const output = resolve(values.output ?? `runs/${name}`);
  const began = performance.now();
  await makeFolder(output);
  try {
    const plan = await openPlan(name, claim, values, more, output);
    note(bold("claim    ") + claim.text);
    note(`         ${claim.source}`);
    const steps = claim.checkpoints.map((share) => Math.round(plan.steps * share));
    const results = await Results.open(`${output}/results.jsonl`);
    const total = plan.seeds * claim.conditions.length;
    let done = 0;
    for (let seed = 0; seed < plan.seeds; seed++) {
      for (const condition of claim.conditions) {
        done++;
        if (steps.every((step) => results.has(condition.name, seed, step))) continue;
        note(bold(`\nrun ${done} of ${total}: ${condition.label}, seed ${seed}, ${grouped(plan.steps)} steps`));
        await pretrainCondition(condition, seed, plan, steps, output);
        for (const step of steps) {
          if (!results.has(condition.name, seed, step)) {
            await results.add(await finetuned(condition, seed, step, plan, claim.finetune, output));
          }
        }
      }
    }
    const measured = results.measured(claim.conditions.map(({ name }) => name), steps, plan.seeds);
    const findings = claim.expectations.map((expectation) => decide(expectation, measured));
    const result = { experiment: name, claim, plan, steps, ...measured, findings, verdict: overall(findings) };
    await writeWhole(`${output}/result.json`, JSON.stringify(result, null, 2) + "\n");
    note(`\n${clock(performance.now() - began)}; everything is in ${output}\n`);
    await writeOut(
      values.json === true ? JSON.stringify(result) + "\n" : claimReport(claim, steps, measured, findings),
    );
    return 0;
  } catch (error) {
    if (!(error instanceof ClozeError) || error.code !== "interrupted") throw error;
    throw new ClozeError("interrupted", `the experiment in ${output} was stopped`, {
      hint: "call the same command again to go on",
      cause: error,
    });
  }
}

function claimOf(name: string | undefined): Claim {
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

/** The plan that the folder has, if it is of the same flags; a new one otherwise. */
async function openPlan(
  experiment: string,
  claim: Claim,
  values: Values<typeof REPRODUCE.flags>,
  more: string[],
  output: string,
): Promise<ExperimentPlan> {
  const data = [...(values.data ?? []), ...more];
  if (data.length === 0 || values.train === undefined || values.valid === undefined) {
    throw new ClozeError("usage", "cloze reproduce needs --data PATH…, --train FILE and --valid FILE");
  }
  if ((values.steps === undefined) === (values.budget === undefined)) {
    throw new ClozeError("usage", "give either --steps or --budget: one of them says how long the experiment is");
  }
  const flag = (name: "preset" | "max-sequence-length" | "threads") =>
    values[name] === undefined ? [] : [`--${name}`, String(values[name])];
  const vocabulary = values["vocab-size"] === undefined ? [] : ["--vocab-size", String(values["vocab-size"])];
  const paths = data.flatMap((path) => ["--data", path]);
  const base = {
    experiment,
    shared: [...paths, ...flag("preset"), ...flag("max-sequence-length"), ...flag("threads")],
    train: values.train,
    valid: values.valid,
    vocabulary,
    seeds: values.seeds ?? 3,
  };
  const path = `${output}/plan.json`;
  if (await exists(path)) {
    const kept: ExperimentPlan = await readPlan(path);
    const same = JSON.stringify({ ...kept, steps: 0 }) === JSON.stringify({ ...base, steps: 0 });
    if (!same || (values.steps !== undefined && values.steps !== kept.steps)) {
      throw new ClozeError("input", `${output} holds an experiment that was begun with other flags`, {
        hint: "give the same flags to go on with it, or another --output",
      });
    }
    return kept;
  }
  for (const file of [values.train, values.valid]) {
    if (!await exists(resolve(file))) throw new ClozeError("input", `the file ${file} does not exist`);
  }
  await command("train-tokenizer", [...paths, ...vocabulary, "--output", `${output}/tokenizer`]);
  const steps = values.steps ?? await stepsWithin(values.budget!, claim, base, output);
  // A whole number of steps between checkpoints.
  const plan = { ...base, steps: Math.max(SAVES, Math.floor(steps / SAVES) * SAVES) };
  await writeWhole(path, JSON.stringify(plan, null, 2) + "\n");
  return plan;
}

async function readPlan(path: string): Promise<ExperimentPlan> {
  try {
    return JSON.parse(await Deno.readTextFile(path));
  } catch (error) {
    throw new ClozeError("input", `${path} cannot be read: ${messageOf(error)}`, { hint: "give another --output" });
  }
}

/** How many steps every run can have so that the whole experiment ends within the budget: short runs are timed. */
async function stepsWithin(
  budget_ms: number,
  claim: Claim,
  plan: Omit<ExperimentPlan, "steps">,
  output: string,
): Promise<number> {
  note(bold("\ntiming short runs, to work out how many steps fit the budget"));
  const began = performance.now();
  const folder = `${output}/timing`;
  await Deno.remove(folder, { recursive: true }).catch(() => {});
  let msAStep = 0; // of all conditions together
  for (const { name, flags } of claim.conditions) {
    const run = `${folder}/${name}`;
    await command("pretrain", [
      ...pretrainFlags(plan, flags, 0, output),
      ...["--budget", `${PROBE_MS / 1000}s`, "--output", run],
    ]);
    const lines = await metrics(run);
    const last = lines.findLast((line) => line.kind === "train")!;
    msAStep += last.elapsed_ms / last.step;
  }
  const model = `${folder}/${claim.conditions[0].name}`;
  const started = performance.now();
  await command("finetune", [
    ...finetuneFlags(plan, model, 0, `${folder}/finetuned`, claim.finetune),
    ...["--epochs", String(PROBE_EPOCHS)],
  ]);
  // Of that time, the evaluations at its end are the same for a whole fine-tuning; the rest grows with the epochs.
  const finetune_ms = (performance.now() - started) * FINETUNE_EPOCHS / PROBE_EPOCHS / 2;
  await Deno.remove(folder, { recursive: true });
  const runs = plan.seeds * claim.conditions.length;
  const left = budget_ms - (performance.now() - began) - runs * claim.checkpoints.length * finetune_ms;
  const steps = PLANNED * left / (plan.seeds * msAStep);
  if (steps < SAVES) {
    throw new ClozeError(
      "usage",
      `--budget is too short: fine-tuning ${runs * claim.checkpoints.length} models alone takes about ` +
        clock(runs * claim.checkpoints.length * finetune_ms),
      { hint: "give more time, fewer --seeds (at least 2), or a smaller --train file" },
    );
  }
  return steps;
}

function pretrainFlags(plan: Omit<ExperimentPlan, "steps">, flags: string[], seed: number, output: string): string[] {
  return [...plan.shared, ...flags, "--tokenizer", `${output}/tokenizer`, "--seed", String(seed)];
}

function finetuneFlags(
  plan: Omit<ExperimentPlan, "steps">,
  model: string,
  seed: number,
  target: string,
  flags: readonly string[],
): string[] {
  const files = ["--model", model, "--train", plan.train, "--valid", plan.valid, "--output", target];
  return [...files, "--seed", String(seed), ...flags];
}

const modelFolder = (output: string, condition: Condition, seed: number, step: number) =>
  `${output}/models/${condition.name}-${seed}/step-${step}`;

/** Pretrains one condition with one seed and keeps the models of the steps that are compared. */
async function pretrainCondition(
  condition: Condition,
  seed: number,
  plan: ExperimentPlan,
  steps: readonly number[],
  output: string,
): Promise<void> {
  const kept = await Promise.all(steps.map((step) => exists(modelFolder(output, condition, seed, step))));
  if (!kept.includes(false)) return;
  const run = `${output}/pretraining/${condition.name}-${seed}`;
  const begun = await exists(`${run}/checkpoints`);
  if (!begun) await Deno.remove(run, { recursive: true }).catch(() => {}); // stopped before its first checkpoint
  const saving = ["--save-every", String(plan.steps / SAVES), "--keep-checkpoints", String(SAVES)];
  await command(
    "pretrain",
    begun
      ? ["--resume", run, ...saving]
      : [...pretrainFlags(plan, condition.flags, seed, output), "--steps", String(plan.steps), ...saving]
        .concat(["--output", run]),
  );
  for (const step of steps) {
    await keepModel(`${run}/checkpoints/step-${step}`, modelFolder(output, condition, seed, step));
  }
  await Deno.remove(`${run}/checkpoints`, { recursive: true });
}

/** Links or copies a checkpoint's model, without its training state, to a folder that is whole or not there. */
async function keepModel(checkpoint: string, target: string): Promise<void> {
  if (await exists(target)) return;
  const temporary = `${target}.tmp`;
  await Deno.remove(temporary, { recursive: true }).catch(() => {});
  await makeFolder(temporary);
  for await (const { name } of Deno.readDir(checkpoint)) {
    if (name.startsWith("training_state.")) continue;
    const [from, to] = [`${checkpoint}/${name}`, `${temporary}/${name}`];
    await Deno.link(from, to).catch(() => Deno.copyFile(from, to));
  }
  await Deno.rename(temporary, target);
}

/** Fine-tunes one model and gives its accuracy; the classifier itself is not kept. */
async function finetuned(
  condition: Condition,
  seed: number,
  step: number,
  plan: ExperimentPlan,
  flags: readonly string[],
  output: string,
) {
  const target = `${output}/finetuning`;
  await Deno.remove(target, { recursive: true }).catch(() => {}); // of a fine-tuning that was stopped
  await command("finetune", finetuneFlags(plan, modelFolder(output, condition, seed, step), seed, target, flags));
  const last = (await metrics(target)).findLast((line) => line.kind === "classification" && line.split === "valid");
  if (last?.kind !== "classification") throw new ClozeError("engine", `${target} has no accuracy in its metrics`);
  await Deno.remove(target, { recursive: true });
  return { condition: condition.name, seed, step, accuracy: last.accuracy, examples: last.count };
}

async function metrics(folder: string): Promise<Metric[]> {
  const text = await Deno.readTextFile(`${folder}/metrics.jsonl`);
  return text.trim().split("\n").map((line) => JSON.parse(line));
}

/** Runs another command as if it had been typed, in the same process. */
async function command(name: "train-tokenizer" | "pretrain" | "finetune", flags: string[]): Promise<void> {
  note(`cloze ${name} ${flags.join(" ")}`);
  const commands = {
    "train-tokenizer": () => import("./train_tokenizer.ts"),
    pretrain: () => import("./pretrain.ts"),
    finetune: () => import("./finetune.ts"),
  };
  await (await commands[name]()).run(flags);
}
