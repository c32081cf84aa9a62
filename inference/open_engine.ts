/** Opens an engine on a model folder for answers only: no gradients, no dropout. Called by what else is in this room. */

import { checkChoice, checkCount, MOST_THREADS } from "./arguments.ts";
import { type Device, Engine, type EngineOptions } from "../ffi/mod.ts";
import type { ModelFolder } from "../model/model_folder.ts";
import type { WeightsWatch } from "../model/weights_watch.ts";

/** How a model is opened for answers. */
export interface InferenceOptions {
  threads?: number;
  device?: Device;
  engine?: "fused" | "candle";
  /** What activations and products are in; f32 unless given. */
  dtype?: EngineOptions["dtype"];
}

/** What batches will be like. */
interface BatchShape {
  /** Tokens that the engine takes at once; it takes at least one sequence of the model's full length. */
  batch_tokens: number;
  /** Tokens of the shortest sequence, `[CLS]` and `[SEP]` included. */
  shortest_sequence: number;
  /** Whether tokens are predicted. */
  predicts_tokens: boolean;
}

/** @throws {ClozeError} `usage` naming the option that is wrong. */
export function checkOptions(options: InferenceOptions): void {
  if (options.threads !== undefined) checkCount("threads", options.threads, 1, MOST_THREADS);
  if (options.device !== undefined) checkChoice("device", options.device, ["cpu", "cuda", "auto"]);
  if (options.engine !== undefined) checkChoice("engine", options.engine, ["fused", "candle"]);
  if (options.dtype !== undefined) checkChoice("dtype", options.dtype, ["auto", "f32", "bf16"]);
}

/** @throws {ClozeError} if the weights, the device or the core cannot be used. */
export async function openEngine(
  { config, weights, watch }: ModelFolder,
  objective: EngineOptions["objective"],
  shape: BatchShape,
  options: InferenceOptions,
): Promise<Engine> {
  const max_tokens = Math.max(shape.batch_tokens, config.max_position_embeddings);
  const engine = await Engine.open({
    config,
    objective,
    weights,
    engine: options.engine ?? "fused",
    device: options.device ?? "cpu",
    dtype: options.dtype ?? "f32",
    threads: options.threads ?? Math.min(navigator.hardwareConcurrency, MOST_THREADS),
    seed: 0,
    max_tokens,
    max_sequences: Math.ceil(max_tokens / shape.shortest_sequence),
    max_masked: shape.predicts_tokens ? max_tokens : 1,
    max_sequence_length: config.max_position_embeddings,
    training: false,
  });
  return watched(engine, watch);
}

/**
 * The engine, which from now on refuses to answer if its weights are not what they were.
 *
 * @throws {ClozeError} if they changed while it was opened.
 */
export function watched(engine: Engine, watch: WeightsWatch): Engine {
  try {
    watch.check();
  } catch (error) {
    engine.close();
    throw error;
  }
  engine.watch(() => watch.check());
  return engine;
}
