/** The engine that trains a run. Called by the pretrain command. */

import type { ModelConfig } from "../../../config/model_config.ts";
import { type Device, Engine } from "../../../ffi/mod.ts";
import { engineHeads } from "../../../model/model_heads.ts";
import { pretrainingTask } from "../../../tasks/registry.ts";
import { optimizerOptions } from "../../../training/optimizer_options.ts";
import { runLimits } from "../../run_batches.ts";
import type { Beginning } from "./beginning.ts";
import type { Plan } from "./plan.ts";

/** Opens it on the weights that the run begins or goes on with. */
export async function openEngine(
  { run, training, engine, dtype }: Pick<Plan, "run" | "training" | "engine" | "dtype">,
  config: ModelConfig,
  weights: Beginning["weights"],
  { device, threads }: { device: Device; threads: number },
): Promise<Engine> {
  const task = pretrainingTask(training.objective);
  const { dropout } = training;
  return await Engine.open({
    config: typeof dropout === "number"
      ? { ...config, hidden_dropout_prob: dropout, attention_probs_dropout_prob: dropout }
      : config,
    heads: engineHeads(task.heads),
    engine,
    device,
    dtype,
    threads,
    seed: training.seed,
    ...runLimits(run),
    optimizer: optimizerOptions(training),
    ...(training.micro_batches === undefined ? {} : { micro_batches: training.micro_batches }),
    ...weights,
  });
}
