/** How many steps an experiment's runs can have within its budget: worked out from short runs that are timed. */

import { ClozeError } from "../../../config/cloze_error.ts";
import type { Claim } from "../../../experiments/claims.ts";
import { readMetrics } from "../../../run/metrics_file.ts";
import { bold, clock, note } from "../../terminal.ts";
import { removeFolder } from "./kept_models.ts";
import type { Parts } from "./parts.ts";
import { type ExperimentOutline, finetuneOptions, measuredSteps, pretrainOptions, SAVES } from "./plan.ts";

/** How long each condition is timed to work out steps from a budget. */
const PROBE_MS = 15_000;
/** The share of an epoch that fine-tuning is timed with, and how many epochs it then takes (finetune's default). */
const PROBE_EPOCHS = 0.1;
const FINETUNE_EPOCHS = 3;
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
  const started = performance.now();
  const model = `${folder}/${claim.conditions[0].name}`;
  await parts.finetune({
    ...finetuneOptions(outline, claim, model, 0, `${folder}/finetuned`),
    epochs: PROBE_EPOCHS,
  });
  const measured = await readMetrics(`${folder}/finetuned/metrics.jsonl`);
  const trained = measured.findLast((line) => line.kind === "train")!.elapsed_ms;
  // The updates grow with the epochs; of the rest, one evaluation follows each epoch.
  const rest = performance.now() - started - trained;
  const finetune_ms = trained * FINETUNE_EPOCHS / PROBE_EPOCHS + rest * FINETUNE_EPOCHS;
  await removeFolder(folder);
  const finetunings = outline.seeds *
    claim.conditions.reduce((sum, condition) => sum + measuredSteps(claim, condition, claim.checkpoints).length, 0);
  const left = budget_ms - (performance.now() - began) - finetunings * finetune_ms - outline.seeds * pauses_ms;
  const steps = PLANNED * left / (outline.seeds * step_ms);
  if (steps < SAVES) {
    throw new ClozeError(
      "usage",
      `--budget is too short: evaluating and fine-tuning ${finetunings} models alone takes about ` +
        clock(finetunings * finetune_ms + outline.seeds * pauses_ms),
      { hint: "give more time, fewer --seeds (at least 2), or a smaller --train file" },
    );
  }
  return steps;
}
