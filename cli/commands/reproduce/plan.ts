/**
 * What `cloze reproduce` is going to do: from its options, or from the folder of an experiment that goes on. Also the options
 * of every command that it runs, so that they can be told. Runs nothing.
 */

import { ClozeError } from "../../../config/cloze_error.ts";
import { exists } from "../../../config/folder.ts";
import { readSealed } from "../../../config/sealed_json.ts";
import { expandPaths } from "../../../data/mod.ts";
import { type Claim, CLAIMS, type Condition, sameStart } from "../../../experiments/claims.ts";
import { checkKind, FAMILIES } from "../../../model/families.ts";
import { DEFAULT_OBJECTIVE, pretrainingTask } from "../../../tasks/registry.ts";
import { checkTextFlags, findOptions, textFlagsFor } from "../../corpus.ts";
import { commandText } from "../../flags/command_text.ts";
import { refuseFlags } from "../../flags/refuse_flags.ts";
import { nearest } from "../../flags/nearest.ts";
import { callerFolder, resolve } from "../../paths.ts";
import { type FinetuneOptions, TABLE as FINETUNE } from "../finetune/flags.ts";
import { type PretrainOptions, TABLE as PRETRAIN } from "../pretrain/flags.ts";
import { TABLE as TRAIN_TOKENIZER, type TrainTokenizerOptions } from "../train_tokenizer/flags.ts";
import type { ReproduceOptions } from "./flags.ts";

/** Checkpoints of a run; those that a claim compares are among them. */
export const SAVES = 16;

/** What an experiment is, kept in its folder: going on with other options would mix two experiments. */
export interface ExperimentPlan {
  experiment: string;
  /** Options of learning the vocabulary that all runs share, and what all pretraining runs and fine-tunings share. */
  vocabulary: TrainTokenizerOptions;
  pretrain: PretrainOptions;
  finetune: FinetuneOptions;
  /** Labeled text; a claim about blanks has none. */
  train?: string;
  valid?: string;
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

/** What the options ask for. Each command gets those of them that apply to what it reads. */
export async function outlineOf(
  experiment: string,
  claim: Claim,
  options: ReproduceOptions,
  more: readonly string[],
): Promise<ExperimentOutline> {
  const data = [...(options.data ?? []), ...more];
  const { train, valid, exclude } = options;
  const areLabeled = claim.finetune !== undefined;
  if (!areLabeled) {
    refuseFlags(
      options,
      ["train", "valid", "label-column"],
      `is for claims that fine-tune; ${experiment} fills blanks`,
    );
    if (data.length === 0) throw new ClozeError("usage", `cloze reproduce ${experiment} needs --data PATH…`);
  } else if (data.length === 0 || train === undefined || valid === undefined) {
    throw new ClozeError("usage", "cloze reproduce needs --data PATH…, --train FILE and --valid FILE");
  }
  const labeled = [train, valid].filter((file) => file !== undefined);
  if ((options.steps === undefined) === (options.budget === undefined)) {
    throw new ClozeError("usage", "give either --steps or --budget: one of them says how long the experiment is");
  }
  checkFamily(options.architecture, claim);
  const files = await expandPaths(data, callerFolder(), findOptions(options));
  checkTextFlags(options, [...files, ...labeled]);
  const text = { data, ...given(options, textFlagsFor(options, files)), ...(exclude === undefined ? {} : { exclude }) };
  return {
    experiment,
    vocabulary: { ...text, ...given(options, ["vocab-size"]) },
    pretrain: {
      ...text,
      ...given(options, [
        "preset",
        "architecture",
        "batch-tokens",
        "max-sequence-length",
        "threads",
        "device",
        "dtype",
        "allow-unknown",
      ]),
    },
    finetune: {
      ...given(options, textFlagsFor(options, labeled)),
      ...given(options, ["label-column", "device", "dtype", "allow-unknown", "threads"]),
    },
    ...(train === undefined ? {} : { train }),
    ...(valid === undefined ? {} : { valid }),
    seeds: options.seeds ?? 3,
  };
}

/** @throws {ClozeError} `usage` if a family has no class for what an experiment makes of its models. */
function checkFamily(model_type: string = FAMILIES[0].model_type, { conditions, finetune }: Claim): void {
  for (const { pretrain } of conditions) {
    checkKind({ model_type }, pretrainingTask(pretrain.objective ?? DEFAULT_OBJECTIVE).heads.task);
  }
  if (finetune !== undefined) checkKind({ model_type }, "sequence_classification");
}

/** Those of the options that are given. */
function given<K extends keyof ReproduceOptions>(
  options: ReproduceOptions,
  names: readonly K[],
): { [N in K]?: NonNullable<ReproduceOptions[N]> } {
  return Object.fromEntries(
    names.flatMap((name) => options[name] === undefined ? [] : [[name, options[name]]]),
  ) as { [N in K]?: NonNullable<ReproduceOptions[N]> };
}

/**
 * The plan that the folder holds, or `undefined` if it holds none.
 *
 * @throws {ClozeError} `input` if it is of other options.
 */
export async function keptPlan(
  outline: ExperimentOutline,
  steps: number | undefined,
  output: string,
): Promise<ExperimentPlan | undefined> {
  const path = `${output}/plan.json`;
  if (!await exists(path)) return undefined;
  const kept = (await readSealed(path)).value as unknown as ExperimentPlan;
  if (kept.pretrain === undefined) {
    throw new ClozeError("input", `${output} holds an experiment that an earlier version of cloze began`, {
      hint: "give another --output",
    });
  }
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
    if (file !== undefined && !await exists(resolve(file))) {
      throw new ClozeError("input", `the file ${file} does not exist`);
    }
  }
}

/** Options that learn the vocabulary which all runs share. */
export function vocabularyOptions({ vocabulary }: ExperimentOutline, output: string): TrainTokenizerOptions {
  return { ...vocabulary, output: `${output}/tokenizer` };
}

/** Options of a pretraining run but for its length and its folder. */
export function pretrainOptions(
  { pretrain }: ExperimentOutline,
  condition: Condition,
  seed: number,
  output: string,
): PretrainOptions {
  // A paper's claim is checked with its recipe.
  return { recipe: "bert", ...pretrain, ...condition.pretrain, tokenizer: `${output}/tokenizer`, seed };
}

/** Options of a pretraining run of the experiment, which keeps every checkpoint. */
export function runOptions(plan: ExperimentPlan, condition: Condition, seed: number, output: string): PretrainOptions {
  return {
    ...pretrainOptions(plan, condition, seed, output),
    steps: plan.steps,
    "save-every": plan.steps / SAVES,
    "keep-checkpoints": SAVES,
    output: runFolder(output, condition, seed),
  };
}

/** Options of a fine-tuning. */
export function finetuneOptions(
  { train, valid, finetune }: ExperimentOutline,
  claim: Claim,
  model: string,
  seed: number,
  target: string,
): FinetuneOptions {
  return { model, train: train!, valid: valid!, output: target, seed, ...finetune, ...claim.finetune };
}

/** The checkpoints at which a condition is measured; 0 is without any pretraining, where that is worth a measure. */
export function measuredSteps(claim: Claim, condition: Condition, steps: readonly number[]): number[] {
  return claim.finetune !== undefined && sameStart(claim.conditions, condition) === condition
    ? [0, ...steps]
    : [...steps];
}

/** How many models are measured in all. */
export function measuredModels(claim: Claim, seeds: number): number {
  const counts = claim.conditions.map((condition) => measuredSteps(claim, condition, claim.checkpoints).length);
  return seeds * counts.reduce((sum, count) => sum + count, 0);
}

/** Folder of a pretraining run. */
export const runFolder = (output: string, condition: Condition, seed: number) =>
  `${output}/pretraining/${condition.name}-${seed}`;

/** Folder of the model at a checkpoint. */
export const modelFolder = (output: string, condition: Condition, seed: number, step: number) =>
  `${output}/models/${condition.name}-${seed}/step-${step}`;

/** Every command of the experiment, as it could be typed. */
export function commandsOf(plan: ExperimentPlan, claim: Claim, steps: readonly number[], output: string): string[] {
  const commands = [commandText(TRAIN_TOKENIZER, vocabularyOptions(plan, output))];
  for (let seed = 0; seed < plan.seeds; seed++) {
    for (const condition of claim.conditions) {
      commands.push(commandText(PRETRAIN, runOptions(plan, condition, seed, output)));
      if (claim.finetune === undefined) continue;
      for (const step of measuredSteps(claim, condition, steps)) {
        const model = modelFolder(output, condition, seed, step === 0 ? steps[0] : step);
        const options = finetuneOptions(plan, claim, model, seed, `${output}/finetuning`);
        commands.push(commandText(FINETUNE, step === 0 ? { ...options, "from-scratch": true } : options));
      }
    }
  }
  return commands;
}
