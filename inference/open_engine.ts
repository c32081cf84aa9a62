/** Opens an engine on a model folder for answers only: no gradients, no dropout. Called by what else is in this room. */

import type { EngineHeads } from "../config/engine.ts";
import { checkChoice, checkCount, MOST_THREADS } from "./arguments.ts";
// Not from mod.ts, which also loads what predict does not need.
import { type Device, Engine, type EngineOptions } from "../ffi/engine.ts";
import { longestText } from "../model/families.ts";
import { beginModelFolder, type ModelFolder, type UnreadFolder } from "../model/model_folder.ts";

/** How a model is opened for answers. */
export interface InferenceOptions {
  /** Threads of the CPU; all cores unless given. */
  threads?: number;
  /** Where it runs; the CPU unless given. */
  device?: Device;
  /** `fused` unless given; `candle` is the same model in plain candle, the oracle. */
  engine?: "fused" | "candle";
  /** What activations and products are in; f32 unless given. */
  dtype?: EngineOptions["dtype"];
}

/** The largest batch that will come. */
export type EngineLimits = Pick<EngineOptions, "max_tokens" | "max_sequences" | "max_masked" | "max_sequence_length">;

/**
 * The limits of batches of about `batch_tokens` tokens, or of one sequence of the model's full length, if that is longer.
 *
 * @param shortest tokens of the shortest sequence, `[CLS]` and `[SEP]` included.
 */
export function answerLimits({ config, heads }: UnreadFolder, batch_tokens: number, shortest: number): EngineLimits {
  const longest = longestText(config);
  const max_tokens = Math.max(batch_tokens, longest);
  return {
    max_tokens,
    max_sequences: Math.ceil(max_tokens / shortest),
    max_masked: heads.tokens || heads.token_classifier !== null ? max_tokens : 1,
    max_sequence_length: longest,
  };
}

/** @throws {ClozeError} `usage` naming the option that is wrong. */
export function checkOptions(options: InferenceOptions): void {
  if (options.threads !== undefined) checkCount("threads", options.threads, 1, MOST_THREADS);
  if (options.device !== undefined) checkChoice("device", options.device, ["cpu", "cuda", "auto"]);
  if (options.engine !== undefined) checkChoice("engine", options.engine, ["fused", "candle"]);
  if (options.dtype !== undefined) checkChoice("dtype", options.dtype, ["auto", "f32", "bf16"]);
}

/** A model that is open for answers. */
export class OpenModel implements Disposable {
  readonly #engine: Engine;

  /** Over an engine that is open; disposing closes it. */
  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Where it runs. */
  get device(): "cpu" | "cuda" {
    return this.#engine.describe().device;
  }

  /** Names of tensors in the folder that belong to no part of a model that is known: it answers without them. */
  get unknownTensors(): readonly string[] {
    return this.#engine.describe().unknown;
  }

  /** Closes what it has open. */
  [Symbol.dispose](): void {
    this.#engine.close();
  }
}

/** A model as it is given: the path of a folder, or one that is open, or half so. */
export type GivenModel = string | ModelFolder | UnreadFolder;

/** The folder of a model. @throws {ClozeError} naming what is missing. */
export async function folderOf(model: GivenModel): Promise<ModelFolder | UnreadFolder> {
  return typeof model === "object" && model !== null ? model : await beginModelFolder(model);
}

/**
 * Opens an engine, and reads the tokenizer meanwhile, where that was not done before.
 *
 * @throws {ClozeError} as `openEngine`, or naming what is wrong with the folder.
 */
export async function openBoth(
  folder: ModelFolder | UnreadFolder,
  heads: EngineHeads,
  limits: EngineLimits,
  options: InferenceOptions,
): Promise<{ folder: ModelFolder; engine: Engine }> {
  const opening = openEngine(folder, heads, limits, options);
  opening.catch(() => {}); // what is wrong with the tokenizer is told first
  try {
    const tokenizer = "tokenizer" in folder ? folder.tokenizer : await folder.readTokenizer();
    return { folder: { ...folder, tokenizer }, engine: await opening };
  } catch (error) {
    opening.then((engine) => engine.close(), () => {});
    throw error;
  }
}

/** @throws {ClozeError} if the weights, the device or the core cannot be used. */
export async function openEngine(
  { config, weights, watch }: UnreadFolder,
  heads: EngineHeads,
  limits: EngineLimits,
  options: InferenceOptions,
): Promise<Engine> {
  const engine = await Engine.open({
    config,
    heads,
    weights,
    engine: options.engine ?? "fused",
    device: options.device ?? "cpu",
    dtype: options.dtype ?? "f32",
    threads: options.threads ?? Math.min(navigator.hardwareConcurrency, MOST_THREADS),
    seed: 0,
    ...limits,
  });
  return watched(engine, watch);
}

/**
 * The engine, which from now on refuses to answer if its weights are not what they were.
 *
 * @throws {ClozeError} if they changed while it was opened.
 */
function watched(engine: Engine, watch: UnreadFolder["watch"]): Engine {
  try {
    watch.check();
  } catch (error) {
    engine.close();
    throw error;
  }
  engine.watch(() => watch.check());
  return engine;
}
