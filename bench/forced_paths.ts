/**
 * What owners of other processors may expect: the step of size b held back to an older instruction set, beside PyTorch
 * (`tuned`) held back to the same, in turns; writes results/forced_paths.json. Not part of the product.
 *
 * usage: cargo build --release --example step_rate && deno run -A bench/forced_paths.ts [--rounds 7]
 *
 * The engine takes no such order, so cloze's side is `step_rate`, which is given one; its process starts in every round.
 */

import { median } from "./peers.ts";
import { SIZES, StepSide, TUNED_MALLOC, writeResult } from "./step_sizes.ts";

const THREADS = 2, PEER_STEPS = 4;
const PATHS = [
  { isa: "dot_bf16", dtype: "bf16", onednn: "AVX512_CORE_BF16", aten: "avx512" },
  { isa: "avx512", dtype: "bf16", onednn: "AVX512_CORE", aten: "avx512" },
  { isa: "avx512", dtype: "f32", onednn: "AVX512_CORE", aten: "avx512" },
  { isa: "avx2", dtype: "f32", onednn: "AVX2", aten: "avx2" },
] as const;

async function stepRate(dtype: string, isa: string): Promise<{ rate: number; instructions: string }> {
  const command = new Deno.Command("target/release/examples/step_rate", {
    args: ["b", dtype, `${THREADS}`, "0.1", isa],
  });
  const text = new TextDecoder().decode((await command.output()).stdout);
  const [, rate, instructions] = text.match(/: (\d+) tokens\/s, .* ms a step, (\S+),/)!;
  return { rate: Number(rate), instructions };
}

if (import.meta.main) {
  const at = Deno.args.indexOf("--rounds");
  const rounds = at < 0 ? 7 : Number(Deno.args[at + 1]);
  const size = SIZES.b, lengths = Array(size.batch).fill(size.sequence_length);
  const tokens = size.batch * size.sequence_length;
  const rows = [];
  for (const { isa, dtype, onednn, aten } of PATHS) {
    const limits = {
      MKL_ENABLE_INSTRUCTIONS: aten.toUpperCase(),
      ONEDNN_MAX_CPU_ISA: onednn,
      ATEN_CPU_CAPABILITY: aten,
    };
    const request = { size, dtype, lengths, variant: "tuned" };
    await using peer = await StepSide.pytorch(THREADS, request, { ...TUNED_MALLOC, ...limits });
    await peer.steps(1);
    const ours: number[] = [], theirs: number[] = [];
    let instructions = "";
    for (let round = 0; round < rounds; round++) {
      const mine = await stepRate(dtype, isa);
      ours.push(mine.rate), theirs.push(1000 * tokens / await peer.steps(PEER_STEPS));
      instructions = mine.instructions;
    }
    const ratios = ours.map((rate, i) => rate / theirs[i]);
    const row = {
      cloze: `${dtype}, ${instructions}`,
      peer: `${dtype}, ${onednn}`,
      cloze_tokens_per_second: Math.round(median(ours)),
      peer_tokens_per_second: Math.round(median(theirs)),
      median_ratio: Number(median(ratios).toFixed(2)),
      min_ratio: Number(Math.min(...ratios).toFixed(2)),
      max_ratio: Number(Math.max(...ratios).toFixed(2)),
    };
    rows.push(row);
    console.log(row);
  }
  await writeResult("forced_paths", "forced_paths.ts", { size: "b", threads: THREADS, rounds, rows });
}
