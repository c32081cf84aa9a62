/** How and where a command computes: what its flags ask for, and what came of it where that was left open. */

import type { Device } from "../ffi/mod.ts";
import type { InferenceOptions } from "../inference/open_engine.ts";
import { note } from "./terminal.ts";

/** Notes that `--device auto` found no GPU. */
export function noteDevice(asked: Device | undefined, found: "cpu" | "cuda"): void {
  if (asked === "auto" && found === "cpu") {
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
