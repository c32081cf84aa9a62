/** How and where a command computes: what its flags ask for, what came of it where that was left open, and of what. */

import { firstOf } from "../config/numbers.ts";
import type { Device } from "../ffi/mod.ts";
import type { InferenceOptions } from "../inference/open_engine.ts";
import { note } from "./terminal.ts";

/** Says which tensors of its folder a model does without. */
export function noteTensors(unknown: readonly string[]): void {
  if (unknown.length === 0) return;
  note(`note: the weights hold tensors of no known part of this model, which are not used: ${firstOf(unknown, 3)}`);
}

/** Notes that `--device auto` found no GPU. */
export function noteDevice(asked: Device | undefined, model: { device: "cpu" | "cuda" }): void {
  if (asked === "auto" && model.device === "cpu") {
    note("device: there is no GPU that can be used, so this runs on the CPU (cloze doctor says what is missing)");
  }
}

/** What the flags say of how a model is opened for answers. */
export function inferenceOptions(
  values: { [K in keyof InferenceOptions]?: InferenceOptions[K] | undefined },
): InferenceOptions {
  const { threads, device, engine, dtype } = values;
  return {
    ...(threads === undefined ? {} : { threads }),
    ...(device === undefined ? {} : { device }),
    ...(engine === undefined ? {} : { engine }),
    ...(dtype === undefined ? {} : { dtype }),
  };
}
