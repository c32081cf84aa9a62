/**
 * cloze's side of the measurements of a training step: the product's engine in a process of its own, so that its peak
 * memory is counted as PyTorch's is. Speaks the protocol of peers/training_step.py. Not part of the product; started by
 * the scripts in bench/. usage: deno run -A bench/cloze_step.ts THREADS
 */

import { MASKED_LM } from "../config/engine.ts";
import { presetConfig } from "../config/model_config.ts";
import type { Batch } from "../config/batch.ts";
import { packSequences } from "../config/packed_sequences.ts";
import { Engine } from "../ffi/mod.ts";
import { familyOfModel } from "../model/families.ts";
import { TRAINING_DEFAULTS } from "../config/run_config.ts";
import { optimizerOptions } from "../training/optimizer_options.ts";
import type { StepRequest } from "./step_sizes.ts";

const MASK = 4, SPECIALS = 5, MASKED = 0.15;

/** Random ids, 15% masked, sequences end to end. */
function randomBatch({ size, lengths }: StepRequest): Batch {
  let state = 12345;
  const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  const id = () => SPECIALS + Math.floor(random() * (size.vocab_size - SPECIALS));
  const packed = packSequences(lengths.map((length) => Int32Array.from({ length }, id)));
  const { input_ids } = packed;
  const masked_positions = Int32Array.from(input_ids.keys()).filter(() => random() < MASKED);
  const labels = masked_positions.map((position) => input_ids[position]);
  for (const position of masked_positions) input_ids[position] = MASK;
  return { ...packed, masked_positions, labels, sequence_labels: new Int32Array(0) };
}

async function open(request: StepRequest, batch: Batch, threads: number): Promise<Engine> {
  const longest = Math.max(...request.lengths);
  const { defaults } = familyOfModel({ model_type: "bert", ...request.size });
  return await Engine.open({
    heads: MASKED_LM,
    config: { ...presetConfig("base", request.size.vocab_size, defaults), ...request.size },
    engine: "fused",
    device: "cpu",
    dtype: request.dtype,
    threads,
    seed: 1,
    max_tokens: batch.input_ids.length,
    max_sequences: request.lengths.length,
    max_masked: batch.labels.length,
    max_sequence_length: longest,
    optimizer: optimizerOptions(TRAINING_DEFAULTS),
  });
}

/** Processor time of this process, in ms; Linux counts it in hundredths of a second. */
function cpuMilliseconds(): number {
  const fields = Deno.readTextFileSync("/proc/self/stat").split(") ")[1].split(" ");
  return 10 * (Number(fields[11]) + Number(fields[12]));
}

function peakMegabytes(): number {
  const [, kilobytes] = Deno.readTextFileSync("/proc/self/status").match(/VmHWM:\s*(\d+)/)!;
  return Number(kilobytes) / 1024;
}

if (import.meta.main) {
  let engine: Engine | undefined, batch: Batch, step = 0, pending = "";
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (pending + text).split("\n");
    pending = lines.pop()!;
    for (const line of lines) {
      const request = JSON.parse(line) as StepRequest | { steps: number };
      if ("size" in request) {
        engine?.close();
        batch = randomBatch(request);
        engine = await open(request, batch, Number(Deno.args[0]));
        console.log(JSON.stringify({ instruction_set: engine.describe().instruction_set }));
        continue;
      }
      const ms: number[] = [], before = cpuMilliseconds();
      for (let i = 0; i < request.steps; i++, step++) {
        const start = performance.now();
        await engine!.forwardBackward(batch!, step, 0);
        await engine!.update(1e-4, step);
        ms.push(performance.now() - start);
      }
      console.log(JSON.stringify({ ms, peak_mb: peakMegabytes(), cpu_ms: cpuMilliseconds() - before }));
    }
  }
  engine?.close();
}
