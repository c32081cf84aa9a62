/**
 * cloze's training step against PyTorch's, at the same work, in one run, in turns; prints and writes
 * results/training_step-SIZES.json. Both sides compute in the same dtype, each in a process of its own, whose peak memory
 * is its VmHWM. Not part of the product.
 *
 * usage: deno run -A bench/training_step.ts [a b c ettin17m ettin32m] [--peers eager|compiled|padded|f32|tuned]
 *   [--rounds 7] [--threads 2]
 *
 * Sizes: a (C 128, 2 layers, 2 heads, F 512, V 8192, T 128, B 32), b (C 256, 4, 4, 1024, 8192, 128, 32), c (BERT-base,
 * V 30522, T 128, B 8); ModernBERT at Ettin's shapes, ettin17m (C 256, 7 layers, 4 heads, F 384, V 50368, T 512, B 8) and
 * ettin32m (C 384, 10, 6, 576), without dropout. Random ids, 15% masked, dropout 0.1, clip 1.0, AdamW with no-decay groups; two threads a side.
 * Processor time is written beside wall clock: of one thread a side it says the same on a machine that others use.
 * `f32`: for machines without AVX-512, where PyTorch's bf16 takes ten times as long as its f32.
 * `padded`: lengths uniform from 32 to 128; PyTorch pads and masks, cloze does not, and only real tokens count.
 */

import { flag, inTurns, SIZES, type StepRequest, StepSide, TUNED_MALLOC, writeResult } from "./step_sizes.ts";

const THREADS = Number(flag("--threads") ?? 2);
const PEERS = {
  eager: [
    { variant: "huggingface", dtype: "f32", env: {} },
    { variant: "huggingface", dtype: "bf16", env: {} },
    { variant: "trainer", dtype: "bf16", env: {} },
    { variant: "tuned", dtype: "f32", env: TUNED_MALLOC },
    { variant: "tuned", dtype: "bf16", env: TUNED_MALLOC },
  ],
  f32: [
    { variant: "huggingface", dtype: "f32", env: {} },
    { variant: "tuned", dtype: "f32", env: TUNED_MALLOC },
    { variant: "compiled", dtype: "f32", env: TUNED_MALLOC },
  ],
  compiled: [
    { variant: "compiled", dtype: "f32", env: TUNED_MALLOC },
    { variant: "compiled", dtype: "bf16", env: TUNED_MALLOC },
  ],
  tuned: [
    { variant: "tuned", dtype: "f32", env: TUNED_MALLOC },
    { variant: "tuned", dtype: "bf16", env: TUNED_MALLOC },
  ],
  padded: [
    { variant: "huggingface", dtype: "bf16", env: {} },
    { variant: "tuned", dtype: "bf16", env: TUNED_MALLOC },
  ],
} as const;

/** The same for everyone: uniform from 32 to 128. */
function mixedLengths(count: number): number[] {
  let state = 2026;
  const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  return Array.from({ length: count }, () => 32 + Math.floor(97 * random()));
}

async function compare(name: keyof typeof SIZES, kind: keyof typeof PEERS, rounds: number) {
  const size = SIZES[name];
  const lengths = kind === "padded" ? mixedLengths(size.batch) : Array(size.batch).fill(size.sequence_length);
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  const rows = [];
  for (const { variant, dtype, env } of PEERS[kind]) {
    const request: StepRequest = { size, dtype, lengths, variant };
    await using ours = await StepSide.cloze(THREADS, request);
    await using theirs = await StepSide.pytorch(THREADS, request, env);
    const row = {
      size: name,
      peer: `${variant}, ${dtype}${kind === "padded" ? ", padded" : ""}`,
      cloze: `${dtype}, ${ours.instruction_set}`,
      tokens,
      ...await inTurns(ours, theirs, rounds, { a: 3, b: 2, c: 1, ettin17m: 1, ettin32m: 1 }[name], tokens),
    };
    rows.push(row);
    console.log(row);
  }
  return rows;
}

if (import.meta.main) {
  const rounds = Number(flag("--rounds") ?? 7);
  const kind = (flag("--peers") ?? "eager") as keyof typeof PEERS;
  const chosen = Deno.args.filter((x) => x in SIZES) as (keyof typeof SIZES)[];
  const names = chosen.length > 0 ? chosen : ["a", "b", "c"] as const;
  const rows = [];
  for (const name of names) rows.push(...await compare(name, kind, rounds));
  const suffix = kind === "eager" ? "" : `-${kind}`;
  await writeResult(`training_step-${names.join("")}${suffix}`, "training_step.ts", { threads: THREADS, rounds, rows });
}
