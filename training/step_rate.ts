/**
 * How fast a training step of a model is on this machine: random tokens through the real engine, as a run would send them.
 * Called by the bench command; the comparisons with other software are in bench/.
 */

import process from "node:process";
import { type Batch, packMasked } from "../config/batch.ts";
import { ClozeError } from "../config/cloze_error.ts";
import { MASKED_LM } from "../config/engine.ts";
import type { ModelConfig } from "../config/model_config.ts";
import { Random } from "../data/rng.ts";
import { Engine, type EngineDescription } from "../ffi/mod.ts";
import { TRAINING_DEFAULTS } from "../config/run_config.ts";
import type { Crew } from "./crew.ts";
import { optimizerOptions } from "./optimizer_options.ts";
import { sharedMicroBatches, together } from "./train.ts";

/** What is measured. */
export interface StepRateOptions {
  engine: "fused" | "candle";
  device: "cpu" | "cuda" | "auto";
  dtype: "f32" | "bf16" | "auto";
  threads: number;
  /** Tokens of a step. */
  batch_tokens: number;
  max_sequence_length: number;
  /** Share of them that is predicted. */
  mlm_probability: number;
  /** About how long to measure, after a step that warms up. */
  duration_ms: number;
  /** Whether to ask where the time goes; that itself costs a little. */
  profile: boolean;
  /** The processes that share a step, if there are several: its tokens are those of all. */
  crew?: Pick<Crew, "rank" | "size" | "share" | "gather" | "together" | "on">;
}

/** What came of it. */
export interface StepRate {
  tokens_per_second: number;
  /** Median time of a step: forward, backward and update. */
  step_ms: number;
  steps: number;
  /** Half of what lies between the quickest tenth of the steps and the slowest, as a share of the median. */
  spread: number;
  /** Of the time of its threads, how much the processor gave them: on a busy machine they wait for it. */
  processor_share: number;
  parameter_count: number;
  dtype: string;
  device: "cpu" | "cuda";
  instruction_set: string;
  /** Of a step, longest first; empty without `profile`. `bytes` are those that it sent to other processes. */
  profile: { operation: string; calls: number; ms: number; bytes: number }[];
}

/** Measures whole training steps. */
export async function stepRate(config: ModelConfig, options: StepRateOptions): Promise<StepRate> {
  const { crew, batch_tokens, max_sequence_length } = options;
  const count = crew === undefined ? 1 : sharedMicroBatches(batch_tokens, max_sequence_length, crew.size);
  if (crew !== undefined && count % crew.size > 0) {
    throw new ClozeError("usage", `${crew.size} processes cannot share a step of ${count} micro-batches evenly`, {
      hint: `start ${2 ** Math.floor(Math.log2(Math.min(crew.size, count)))} processes`,
    });
  }
  const own = crew?.share(count) ?? { first: 0, count: 1 };
  const batch = randomBatch(config.vocab_size, { ...options, batch_tokens: batch_tokens / count });
  using engine = await Engine.open({
    config,
    heads: MASKED_LM,
    engine: options.engine,
    ...(crew?.on ?? { device: options.device }),
    dtype: options.dtype,
    profile: options.profile,
    threads: options.threads,
    seed: 0,
    max_tokens: batch.input_ids.length,
    max_sequences: batch.cu_seqlens.length - 1,
    max_masked: batch.labels.length,
    max_sequence_length: options.max_sequence_length,
    optimizer: optimizerOptions(TRAINING_DEFAULTS),
    ...(crew === undefined ? {} : { micro_batches: count }),
  });
  const times: number[] = [];
  const used = process.cpuUsage(), began = performance.now();
  const isOver = () => times.length > 0 && performance.now() - began >= options.duration_ms;
  for (let step = 0; !await first(crew, isOver); step++) {
    const start = performance.now();
    for (let leaf = own.first; leaf < own.first + own.count; leaf++) {
      await together(crew, () => engine.forwardBackward(batch, step, leaf));
    }
    await together(crew, () => engine.update(1e-4, step));
    await engine.report(); // a GPU is done only then
    if (step > 0) times.push(performance.now() - start); // the first one plans memory and starts threads
  }
  const { user, system } = process.cpuUsage(used), elapsed_ms = performance.now() - began;
  const sorted = times.toSorted((a, b) => a - b), at = (share: number) => sorted[Math.floor(share * sorted.length)];
  const step_ms = at(0.5);
  const about: EngineDescription = engine.describe();
  const steps = times.length + 1;
  return {
    tokens_per_second: Math.round(count * batch.input_ids.length / step_ms * 1000),
    step_ms,
    steps: times.length,
    spread: (at(0.9) - at(0.1)) / 2 / step_ms,
    processor_share: Math.min(1, (user + system) / 1000 / elapsed_ms / options.threads),
    parameter_count: about.parameter_count,
    dtype: about.dtype,
    device: about.device,
    instruction_set: about.instruction_set,
    profile: !options.profile
      ? []
      : about.profile.toSorted((a, b) => b.ms - a.ms).map(({ operation, calls, ms, bytes }) => ({
        operation,
        calls: calls / steps,
        ms: ms / steps,
        bytes: bytes / steps,
      })),
  };
}

/** What the first of the processes answers, or this one where it is alone. */
async function first(crew: StepRateOptions["crew"], answer: () => boolean): Promise<boolean> {
  if (crew === undefined) return answer();
  return (await crew.gather(Uint8Array.of(Number(answer()))))[0][0] === 1;
}

/** Full sequences of random ids, some of which are masked. */
function randomBatch(vocab_size: number, options: StepRateOptions): Batch {
  const { batch_tokens, max_sequence_length, mlm_probability } = options;
  const random = new Random(0, 0).at(0, 0);
  const sequences = Array.from(
    { length: Math.max(1, Math.floor(batch_tokens / max_sequence_length)) },
    () => Int32Array.from({ length: max_sequence_length }, () => 5 + random.below(vocab_size - 5)),
  );
  return packMasked(sequences.map((ids) => {
    const positions = [...ids.keys()].filter(() => random.uniform() < mlm_probability);
    return { ids, positions, labels: positions.map((position) => ids[position]) };
  }));
}
