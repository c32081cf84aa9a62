/** The optimizer that an engine is opened with. */

import { MUON_DEFAULTS, type OptimizerConfig } from "../config/run_config.ts";
import type { OptimizerOptions } from "../ffi/mod.ts";

/** What a run's configuration says of its optimizer, as the engine takes it. */
export function optimizerOptions(
  training: Omit<OptimizerConfig, "learning_rate" | "warmup_ratio">,
): OptimizerOptions {
  const shared = {
    beta1: training.adam_beta1,
    beta2: training.adam_beta2,
    epsilon: training.adam_epsilon,
    weight_decay: training.weight_decay,
    max_grad_norm: training.max_grad_norm,
  };
  if (training.optimizer !== "muon") return { name: "adamw", ...shared };
  return { name: "muon", momentum: training.muon_momentum ?? MUON_DEFAULTS.muon_momentum, ...shared };
}
