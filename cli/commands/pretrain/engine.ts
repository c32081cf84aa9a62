/** The engine that trains a run. Called by the pretrain command. */

import type { ModelConfig } from "../../../config/model_config.ts";
import { type Device, Engine, type EngineOptions } from "../../../ffi/mod.ts";
import { engineHeads } from "../../../model/model_heads.ts";
import { pretrainingTask } from "../../../tasks/registry.ts";
import { MICRO_BATCH_TOKENS, microBatches } from "../../../training/train.ts";
import { optimizerOptions } from "../../../training/optimizer_options.ts";
import { runLimits } from "../../run_batches.ts";
import type { Beginning } from "./beginning.ts";
import type { Plan } from "./plan.ts";

/** Tokens of a micro-batch above which a GPU gets no faster. */
const MOST_MICRO_BATCH_TOKENS = 65_536;

type Opened = Pick<Plan, "run" | "training" | "engine" | "dtype">;

/** Opens it on the weights that the run begins or goes on with. */
export async function openEngine(
  plan: Opened,
  config: ModelConfig,
  weights: Beginning["weights"],
  place: { device: Device; gpu?: number; threads: number },
): Promise<Engine> {
  return await Engine.open({ ...optionsOf(plan, config, place), ...weights });
}

function optionsOf(
  { run, training, engine, dtype }: Opened,
  config: ModelConfig,
  { device, gpu = 0, threads }: { device: Device; gpu?: number; threads: number },
): EngineOptions {
  const { dropout } = training;
  return {
    config: typeof dropout === "number"
      ? { ...config, hidden_dropout_prob: dropout, attention_probs_dropout_prob: dropout }
      : config,
    heads: engineHeads(pretrainingTask(training.objective).heads),
    engine,
    device,
    gpu,
    dtype,
    threads,
    seed: training.seed,
    ...runLimits(run),
    optimizer: optimizerOptions(training),
    ...(training.micro_batches === undefined ? {} : { micro_batches: training.micro_batches }),
  };
}

/** The plan of a new run with micro-batches as large as the free memory of its GPU lets them be, if it runs on one. */
export async function withMicroBatches(
  plan: Plan,
  config: ModelConfig,
  place: { device: Device; gpu?: number; threads: number },
): Promise<Plan> {
  const { batch_tokens, micro_batches } = plan.training;
  const isDecided = plan.start !== undefined || micro_batches !== undefined || batch_tokens <= MICRO_BATCH_TOKENS;
  if (isDecided || place.device === "cpu" || plan.engine !== "fused") return plan;
  const fit = await Engine.tokensThatFit(optionsOf(withTokens(plan, MOST_MICRO_BATCH_TOKENS), config, place));
  return fit > microBatches(plan.training).tokens ? withTokens(plan, Math.min(fit, MOST_MICRO_BATCH_TOKENS)) : plan;
}

function withTokens(plan: Plan, micro_batch_tokens: number): Plan {
  const training = { ...plan.training, micro_batch_tokens };
  return { ...plan, training, run: { ...plan.run, training } as Plan["run"] };
}
