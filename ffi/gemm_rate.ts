/** How fast this machine multiplies matrices. Used by the bench command. */

import { loadLibrary } from "./library.ts";
import { ERROR_LENGTH, throwIfFailed } from "./native_error.ts";

/** GFLOP/s of the engine's matrix product (2·m·n·k operations) by `threads` threads. */
export async function gemmRate(dtype: "f32" | "bf16", threads: number): Promise<number> {
  const out = new Float64Array(1);
  const error = new Uint8Array(ERROR_LENGTH);
  const { cloze_gemm_rate } = loadLibrary().symbols;
  throwIfFailed(await cloze_gemm_rate(dtype === "bf16" ? 1 : 0, threads, out, error, error.length), error);
  return out[0];
}
