/** Says where a command runs, where it was left to choose. */

import type { Device } from "../ffi/mod.ts";
import { note } from "./terminal.ts";

/** Notes that `--device auto` found no GPU. */
export function noteDevice(asked: Device | undefined, found: "cpu" | "cuda"): void {
  if (asked === "auto" && found === "cpu") {
    note("device: there is no GPU that can be used, so this runs on the CPU (cloze doctor says what is missing)");
  }
}
