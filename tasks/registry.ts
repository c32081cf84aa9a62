/** The tasks of pretraining. Nothing else compares their names. */

import type { ModelHeads } from "../model/model_heads.ts";
import { CLM } from "./clm.ts";
import { MLM } from "./mlm.ts";
import { MLM_NSP } from "./mlm_nsp.ts";
import type { PretrainingTask } from "./pretraining_task.ts";

/** Every task of pretraining; the first is that of a run which names none. */
export const PRETRAINING_TASKS: readonly PretrainingTask[] = [MLM, MLM_NSP, CLM];

/** Their names: what `--objective` may say, and `run.json`. */
export const PRETRAINING_OBJECTIVES: readonly string[] = PRETRAINING_TASKS.map(({ name }) => name);

/** The objective of a run that names none. */
export const DEFAULT_OBJECTIVE: string = PRETRAINING_OBJECTIVES[0];

/** The task of that name, if there is one: a record may be of another version. */
export function findTask(objective: string): PretrainingTask | undefined {
  return PRETRAINING_TASKS.find(({ name }) => name === objective);
}

/** The task of a name that was checked: by the flags, or when the run's record was read. */
export function pretrainingTask(objective: string): PretrainingTask {
  const task = findTask(objective);
  if (task === undefined) throw new Error(`there is no task ${objective}`);
  return task;
}

/** The task that a model with these heads is trained by; the default one for a model that predicts no tokens. */
export function taskFor({ task }: ModelHeads): PretrainingTask {
  return PRETRAINING_TASKS.find(({ heads }) => heads.task === task) ?? PRETRAINING_TASKS[0];
}

/**
 * The task that a model's tokens are measured by: with the same masks whatever the model was trained for, so that models can
 * be compared.
 */
export function measuredBy({ is_decoder }: ModelHeads): PretrainingTask {
  return is_decoder ? CLM : MLM;
}
