/**
 * What attention within a window costs in a training step, beside attention to everything, in turns: time and memory by
 * length, at 8,192 tokens a step, of Ettin's 17M shape with a window of 128 tokens in two of three layers and in none. Prints
 * a table and writes results/window-DTYPE.json. Not part of the product.
 * usage: deno run -A bench/window.ts [--dtype f32|bf16] [--rounds 3]
 */

import { flag, inTurns, SIZES, StepSide, writeResult } from "./step_sizes.ts";
import { modernbert } from "../model/families/modernbert.ts";

const TOKENS = 8192, THREADS = 1;

if (import.meta.main) {
  const dtype = flag("--dtype") ?? "f32", rounds = Number(flag("--rounds") ?? 3);
  if ((dtype !== "f32" && dtype !== "bf16") || !(rounds >= 1)) {
    console.error("usage: deno run -A bench/window.ts [--dtype f32|bf16] [--rounds 3]");
    Deno.exit(2);
  }
  const rows = [];
  for (const length of [512, 2048, 8192]) {
    const side = (global_attn_every_n_layers: number) => {
      const own = { ...modernbert.defaults.modernbert!, global_attn_every_n_layers };
      const lengths = Array(TOKENS / length).fill(length);
      return StepSide.cloze(THREADS, { size: { ...SIZES.ettin17m, modernbert: own }, dtype, lengths });
    };
    await using window = await side(3);
    await using everything = await side(1);
    const turns = await inTurns(window, everything, rounds, 1, TOKENS);
    rows.push({
      length,
      window_ms: turns.cloze_ms,
      everything_ms: turns.peer_ms,
      ratio: turns.median_ratio,
      window_cpu_ms: turns.cloze_cpu_ms,
      everything_cpu_ms: turns.peer_cpu_ms,
      cpu_ratio: turns.median_cpu_ratio,
      window_peak_mb: turns.cloze_peak_mb,
      everything_peak_mb: turns.peer_peak_mb,
    });
    console.table(rows);
  }
  await writeResult(`window-${dtype}`, "window.ts", { threads: THREADS, tokens: TOKENS, rounds, rows });
}
