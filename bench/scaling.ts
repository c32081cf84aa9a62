/**
 * How the cost of a training step grows with sequence length, batch, threads and model size, with the best tuned eager
 * PyTorch beside (`tuned`), in turns; prints and writes results/scaling-WHAT.json. Not part of the product.
 *
 * usage: deno run -A bench/scaling.ts length|batch|model|threads [--rounds 3] [--dtype bf16|f32]
 */

import {
  flag,
  inTurns,
  type StepRequest,
  StepSide,
  type StepSize,
  stepSize,
  TUNED_MALLOC,
  writeResult,
} from "./step_sizes.ts";

const VOCAB_SIZE = 8192, TOKENS = 4096;
const mini = (batch: number, length: number) => stepSize(256, 4, VOCAB_SIZE, batch, length);

/** What varies; all else is `mini`, 32 sequences of 128, two threads. */
const SERIES: Record<string, { size: StepSize; threads: number; model?: string }[]> = {
  length: [32, 64, 128, 256, 512].map((length) => ({ size: mini(TOKENS / length, length), threads: 2 })),
  batch: [1, 4, 16, 64, 256].map((batch) => ({ size: mini(batch, 128), threads: 2 })),
  threads: [1, 2].map((threads) => ({ size: mini(32, 128), threads })),
  model: [
    { model: "tiny", size: stepSize(128, 2, VOCAB_SIZE, 32), threads: 2 },
    { model: "mini", size: mini(32, 128), threads: 2 },
    { model: "small", size: stepSize(512, 4, VOCAB_SIZE, 16), threads: 2 },
    { model: "base", size: stepSize(768, 12, 30522, 8), threads: 2 },
  ],
};
/** A turn lasts at least about so long. */
const TURN_MS = 400;

if (import.meta.main) {
  const [what] = Deno.args;
  const rounds = Number(flag("--rounds") ?? 3);
  const dtype = flag("--dtype") === "f32" ? "f32" : "bf16";
  const rows = [];
  for (const { size, threads, model = "mini" } of SERIES[what]) {
    const lengths = Array(size.batch).fill(size.sequence_length);
    const request: StepRequest = { size, dtype, lengths, variant: "tuned" };
    await using ours = await StepSide.cloze(threads, request);
    await using theirs = await StepSide.pytorch(threads, request, TUNED_MALLOC);
    await ours.steps(1);
    const steps = Math.max(1, Math.round(TURN_MS / await ours.steps(1)));
    const tokens = size.batch * size.sequence_length;
    const row = {
      model,
      batch: size.batch,
      sequence_length: size.sequence_length,
      threads,
      ...await inTurns(ours, theirs, rounds, steps, tokens),
    };
    rows.push(row);
    console.log(row);
  }
  await writeResult(`scaling-${what}`, "scaling.ts", { dtype, rounds, rows });
}
