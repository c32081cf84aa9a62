/**
 * What attention within a window costs in a training step, beside attention to everything: time and memory by length, at 8,192
 * tokens a step, of Ettin's 17M shape with a window of 128 tokens in two of three layers and in none. Prints a table and
 * writes results/window.json. Not part of the product. usage: deno run -A bench/window.ts [--dtype f32] [--rounds 3]
 */

import { median } from "./peers.ts";
import { flag, SIZES, StepSide, writeResult } from "./step_sizes.ts";
import { modernbert } from "../model/families/modernbert.ts";

const TOKENS = 8192, THREADS = 1;

if (import.meta.main) {
  const dtype = (flag("--dtype") ?? "f32") as "f32" | "bf16", rounds = Number(flag("--rounds") ?? 3);
  const rows = [];
  for (const length of [512, 2048, 8192]) {
    const row: Record<string, number> = { length };
    for (const [name, global_attn_every_n_layers] of [["window", 3], ["everything", 1]] as const) {
      const own = { ...modernbert.defaults.modernbert!, global_attn_every_n_layers };
      const size = { ...SIZES.ettin17m, modernbert: own };
      const lengths = Array(TOKENS / length).fill(length);
      await using side = await StepSide.cloze(THREADS, { size, dtype, lengths });
      const cpu = [];
      for (let round = -1; round < rounds; round++) {
        await side.steps(1);
        if (round >= 0) cpu.push(side.cpu_ms);
      }
      row[`${name}_cpu_seconds`] = Number((median(cpu) / 1000).toFixed(2));
      row[`${name}_peak_mb`] = Math.round(side.peak_mb);
    }
    rows.push(row);
    console.table(rows);
  }
  await writeResult(`window-${dtype}`, "window.ts", { threads: THREADS, tokens: TOKENS, rows });
}
