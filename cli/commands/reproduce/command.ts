/**
 * `cloze reproduce`: a claim in, a verdict out. It calls the commands that a person would type (train-tokenizer, pretrain,
 * finetune), says which, and keeps every accuracy in the experiment's folder, so that it goes on where it was stopped.
 */

import { ClozeError } from "../../../config/cloze_error.ts";
import { exists, makeFolder } from "../../../config/folder.ts";
import { clock, counted, percent } from "../../../config/numbers.ts";
import { VERSION } from "../../../config/run_config.ts";
import { sealed } from "../../../config/sealed_json.ts";
import { writeWhole } from "../../../config/whole_file.ts";
import type { Claim, Condition } from "../../../experiments/claims.ts";
import { type Result, Results } from "../../../experiments/results.ts";
import { decide, overall } from "../../../experiments/verdict.ts";
import { type ExperimentRecord, type ToldClaim, writeReport } from "../../../report/mod.ts";
import { readMetrics } from "../../../run/metrics_file.ts";
import type { FinetuneOptions } from "../finetune/flags.ts";
import { flagWords } from "../../flags/command_text.ts";
import { callerFolder, resolve } from "../../paths.ts";
import { stopSignals } from "../../stop_signals.ts";
import { shownExperiment } from "../../shown_experiment.ts";
import { bold, note, writeOut } from "../../terminal.ts";
import { TABLE as PRETRAIN } from "../pretrain/flags.ts";
import type { Call } from "../registry.ts";
import type { ReproduceOptions } from "./flags.ts";
import { fillBlanks } from "./blanks.ts";
import { keepModel, removeFolder } from "./kept_models.ts";
import { Parts } from "./parts.ts";
import {
  checkLabeled,
  claimOf,
  commandsOf,
  type ExperimentOutline,
  type ExperimentPlan,
  finetuneOptions,
  keptPlan,
  measuredModels,
  measuredSteps,
  modelFolder,
  outlineOf,
  runFolder,
  runOptions,
  vocabularyOptions,
  wholeSteps,
} from "./plan.ts";
import { stepsWithin } from "./timing.ts";

export { TABLE } from "./flags.ts";

/** Runs the command. */
export async function run({ positionals = [], ...values }: ReproduceOptions, call: Call): Promise<number> {
  const [name, ...more] = positionals;
  const claim = claimOf(name);
  const outline = await outlineOf(name!, claim, values, more);
  const output = resolve(values.output ?? `runs/${name}`);
  const began = performance.now();
  await makeFolder(output);
  const stop = stopSignals("the same command", `the experiment in ${output} was stopped`);
  try {
    const parts = new Parts(call);
    const plan = await keptPlan(outline, values.steps, output) ?? await newPlan(outline, claim, values, output, parts);
    note(bold("claim    ") + claim.text);
    note(`         ${claim.source}`);
    note(bold("plan     ") + planText(plan, claim));
    const record = await measureAll(plan, claim, output, parts);
    note(`\n${clock(performance.now() - began)}; everything is in ${output}, the page ${output}/report.html\n`);
    await writeOut(values.json === true ? JSON.stringify(record) + "\n" : shownExperiment(record));
    return 0;
  } catch (error) {
    if (!(error instanceof ClozeError) || error.code !== "interrupted") throw error;
    throw new ClozeError("interrupted", `the experiment in ${output} was stopped`, {
      hint: "the same command",
      cause: error,
    });
  } finally {
    stop.dispose();
  }
}

/** Learns the vocabulary, works out how long the runs are, and keeps what was planned. */
async function newPlan(
  outline: ExperimentOutline,
  claim: Claim,
  values: ReproduceOptions,
  output: string,
  parts: Parts,
): Promise<ExperimentPlan> {
  const began = performance.now();
  await checkLabeled(outline);
  await parts.trainTokenizer({ ...vocabularyOptions(outline, output), force: true }); // there is no plan yet
  const left_ms = () => values.budget! - (performance.now() - began);
  const steps = values.steps ?? await stepsWithin(left_ms(), claim, outline, output, parts);
  const plan = { ...outline, steps: wholeSteps(steps) };
  await writeWhole(`${output}/plan.json`, sealed(plan));
  return plan;
}

/** How much it is in all. */
function planText({ seeds, steps }: ExperimentPlan, claim: Claim): string {
  const models = measuredModels(claim, seeds);
  const measured = claim.finetune === undefined
    ? `${counted(models, "model")} that fill blanks`
    : counted(models, "fine-tuning");
  return `${counted(seeds * claim.conditions.length, "run")} of ${counted(steps, "step")} ` +
    `(${counted(claim.conditions.length, "condition")}, ${counted(seeds, "seed")}), ${measured}`;
}

/** Pretrains and fine-tunes whatever has not been measured, and keeps the record of what has. */
async function measureAll(
  plan: ExperimentPlan,
  claim: Claim,
  output: string,
  parts: Parts,
): Promise<ExperimentRecord> {
  const steps = claim.checkpoints.map((share) => Math.round(plan.steps * share));
  const results = await Results.open(`${output}/results.jsonl`);
  const total = plan.seeds * claim.conditions.length;
  const measure = async (condition: Condition, seed: number, step: number): Promise<Measures> => {
    const model = modelFolder(output, condition, seed, step === 0 ? steps[0] : step);
    if (claim.finetune === undefined) return await filled(model, runFolder(output, condition, seed), plan);
    return await finetuned(finetuneOptions(plan, claim, model, seed, `${output}/finetuning`), step === 0, parts);
  };
  let done = 0, here = 0;
  const began = performance.now();
  for (let seed = 0; seed < plan.seeds; seed++) {
    for (const condition of claim.conditions) {
      done++;
      const missing = measuredSteps(claim, condition, steps)
        .filter((step) => !results.has(condition.name, seed, step));
      if (missing.length === 0) continue;
      const left_ms = (performance.now() - began) / here * (total - done + 1);
      const left = here === 0 ? "" : `; about ${clock(left_ms)} left`;
      note(bold(`\nrun ${done} of ${total}: ${condition.label}, seed ${seed}, ${counted(plan.steps, "step")}`) + left);
      await pretrainCondition(condition, seed, plan, claim, steps, output, parts);
      for (const step of missing) {
        results.add({ condition: condition.name, seed, step, ...await measure(condition, seed, step) });
        await keepRecord(recordOf(plan, claim, steps, results, output, parts.call));
      }
      here++;
    }
  }
  const record = recordOf(plan, claim, steps, results, output, parts.call);
  await keepRecord(record);
  return record;
}

/** What is known; with a verdict once everything has been measured. */
function recordOf(
  plan: ExperimentPlan,
  claim: Claim,
  steps: number[],
  results: Results,
  output: string,
  call: Call,
): ExperimentRecord {
  const measured = results.measured(claim.conditions, steps, plan.seeds);
  const untrained = claim.finetune === undefined ? [] : Object.values(measured.untrained);
  const whole = [...Object.values(measured.accuracies).flat(), ...untrained]
    .every(({ length }) => length === plan.seeds);
  const findings = whole ? claim.expectations.map((expectation) => decide(expectation, measured)) : [];
  return {
    kind: "experiment",
    path: output,
    experiment: plan.experiment,
    claim: toldClaim(claim),
    plan,
    steps,
    ...measured,
    findings,
    ...(whole ? { verdict: overall(findings) } : {}),
    command: call.typed,
    folder: callerFolder(),
    commands: commandsOf(plan, claim, steps, output),
    versions: { cloze: VERSION, deno: Deno.version.deno, platform: `${Deno.build.os} ${Deno.build.arch}` },
  };
}

/** The claim as it is told: conditions as what would be typed for them. */
function toldClaim({ finetune: _, conditions, ...claim }: Claim): ToldClaim {
  const told = conditions.map(({ name, label, pretrain }) => ({ name, label, flags: flagWords(PRETRAIN, pretrain) }));
  return { ...claim, conditions: told };
}

async function keepRecord(record: ExperimentRecord): Promise<void> {
  await writeWhole(`${record.path}/result.json`, sealed(record));
  await writeReport([record], `${record.path}/report.html`);
}

/** Pretrains one condition with one seed and keeps the models of the steps that are compared. */
async function pretrainCondition(
  condition: Condition,
  seed: number,
  plan: ExperimentPlan,
  claim: Claim,
  steps: readonly number[],
  output: string,
  parts: Parts,
): Promise<void> {
  const kept = await Promise.all(steps.map((step) => exists(modelFolder(output, condition, seed, step))));
  if (!kept.includes(false)) return;
  const run = runFolder(output, condition, seed);
  await parts.pretrain(runOptions(plan, condition, seed, output)); // goes on, if it was stopped
  await checkEpochs(claim, run, output);
  for (const step of steps) {
    await keepModel(`${run}/checkpoints/step-${step}`, modelFolder(output, condition, seed, step));
  }
  await removeFolder(`${run}/checkpoints`);
}

/** @throws {ClozeError} if a run was too short for its condition to differ from the others. */
async function checkEpochs({ least_epochs = 0 }: Claim, run: string, output: string): Promise<void> {
  const last = (await readMetrics(`${run}/metrics.jsonl`)).findLast((line) => line.kind === "train")!;
  if (last.epoch >= least_epochs) return;
  throw new ClozeError(
    "usage",
    `a run saw the text ${last.epoch.toFixed(2)} times, but the conditions differ only from ${least_epochs} passes on`,
    { hint: `give less text or more steps, and another --output than ${output}` },
  );
}

/** What is measured of a model. */
type Measures = Omit<Result, "condition" | "seed" | "step">;

/** Fine-tunes one model, or random weights of its shape, and gives the accuracy; no classifier is kept. */
async function finetuned(options: FinetuneOptions, isRandom: boolean, parts: Parts): Promise<Measures> {
  const target = options.output!;
  await Deno.remove(target, { recursive: true }).catch(() => {}); // of a fine-tuning that was stopped
  await parts.finetune(isRandom ? { ...options, "from-scratch": true } : options);
  const lines = await readMetrics(`${target}/metrics.jsonl`);
  const last = lines.findLast((line) => line.kind === "classification" && line.split === "valid");
  if (last?.kind !== "classification") throw new ClozeError("engine", `${target} has no accuracy in its metrics`);
  await removeFolder(target);
  return { accuracy: last.accuracy, examples: last.count, commonest: last.majority };
}

/** Fills the held-out blanks with one model, and says how. */
async function filled(model: string, run: string, { pretrain }: ExperimentPlan): Promise<Measures> {
  const measures = await fillBlanks(model, run, pretrain);
  note(
    `${model}: ${percent(measures.accuracy)} of ${counted(measures.examples, "held-out blank")} right, ` +
      `loss ${measures.loss!.mean.toFixed(3)}`,
  );
  return measures;
}
