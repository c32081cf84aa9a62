/** How many steps an experiment's runs can have within its budget: worked out from short runs that are timed. */

import { ClozeError } from "../../../config/cloze_error.ts";
import { clock, grouped, roundedTime } from "../../../config/numbers.ts";
import type { Claim } from "../../../experiments/claims.ts";
import { readMetrics } from "../../../run/metrics_file.ts";
import { bold, note } from "../../terminal.ts";
import { fillBlanks } from "./blanks.ts";
import { removeFolder } from "./kept_models.ts";
import type { Parts } from "./parts.ts";
import { type ExperimentOutline, finetuneOptions, measuredModels, pretrainOptions, SAVES, wholeSteps } from "./plan.ts";

/** How long each condition is timed to work out steps from a budget. */
const PROBE_MS = 15_000;
/** The share of an epoch that fine-tuning is timed with, and how many epochs it then takes (finetune's default). */
const PROBE_EPOCHS = 0.1;
const FINETUNE_EPOCHS = 3;
/** Fewer steps than these say little; a budget that is offered is for as many. */
const USEFUL_STEPS = 1024;
/** Of what is left of a budget, so much is planned: runs also save, and rates vary. */
const PLANNED = 0.85;

/** How many steps every run can have so that the whole experiment ends within the budget: short runs are timed. */
export async function stepsWithin(
  budget_ms: number,
  claim: Claim,
  outline: ExperimentOutline,
  output: string,
  parts: Parts,
): Promise<number> {
  note(bold("\ntiming short runs, to work out how many steps fit the budget"));
  const began = performance.now();
  const folder = `${output}/timing`;
  await Deno.remove(folder, { recursive: true }).catch(() => {});
  // Of all conditions together. A short run opens and evaluates as often as a long one, so that is apart from its steps.
  let step_ms = 0;
  let pauses_ms = 0;
  for (const condition of claim.conditions) {
    const run = `${folder}/${condition.name}`;
    const started = performance.now();
    await parts.pretrain({ ...pretrainOptions(outline, condition, 0, output), budget: PROBE_MS, output: run });
    const whole_ms = performance.now() - started;
    const last = (await readMetrics(`${run}/metrics.jsonl`)).findLast((line) => line.kind === "train")!;
    const ms = 1000 * last.tokens / last.step / last.tokens_per_second;
    step_ms += ms;
    pauses_ms += whole_ms - ms * last.step;
  }
  const model = `${folder}/${claim.conditions[0].name}`;
  const measure_ms = claim.finetune === undefined
    ? await timed(() => fillBlanks(model, model, outline.pretrain))
    : await finetuningTime(claim, outline, model, `${folder}/finetuned`, parts);
  await removeFolder(folder);
  const models = measuredModels(claim, outline.seeds);
  const fixed_ms = models * measure_ms + outline.seeds * pauses_ms, took_ms = performance.now() - began;
  const steps = PLANNED * (budget_ms - took_ms - fixed_ms) / (outline.seeds * step_ms);
  if (steps >= SAVES) {
    note(`${grouped(wholeSteps(steps))} steps a run fit into what is left of the budget`);
    return steps;
  }
  const enough_ms = took_ms + fixed_ms + USEFUL_STEPS * outline.seeds * step_ms / PLANNED;
  throw new ClozeError(
    "usage",
    `--budget is too short: measuring ${models} models alone takes about ${clock(fixed_ms)}`,
    {
      hint:
        `--budget ${roundedTime(enough_ms)} is enough for ${grouped(USEFUL_STEPS)} steps a run; so are fewer --seeds` +
        (claim.finetune === undefined ? " (at least 2)" : " (at least 2), or a smaller --train file"),
    },
  );
}

/** A fine-tuning in full, from a tenth of an epoch of one. */
async function finetuningTime(
  claim: Claim,
  outline: ExperimentOutline,
  model: string,
  target: string,
  parts: Parts,
): Promise<number> {
  const options = { ...finetuneOptions(outline, claim, model, 0, target), epochs: PROBE_EPOCHS };
  const whole_ms = await timed(() => parts.finetune(options));
  const trained_ms =
    (await readMetrics(`${target}/metrics.jsonl`)).findLast(({ kind }) => kind === "train")!.elapsed_ms;
  // The updates grow with the epochs; of the rest, one evaluation follows each epoch.
  return trained_ms * FINETUNE_EPOCHS / PROBE_EPOCHS + (whole_ms - trained_ms) * FINETUNE_EPOCHS;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}
