/** `cloze doctor`: what cloze runs on here, and what a GPU would need. */

import { VERSION } from "../../../config/run_config.ts";
import { inspectMachine } from "../../../ffi/mod.ts";
import { writeOut } from "../../terminal.ts";
import type { DoctorOptions } from "./flags.ts";
import { type DoctorReport, readable } from "./view.ts";

/** Runs the command. */
export async function run(values: DoctorOptions): Promise<number> {
  const core = await inspectMachine();
  const { os, arch } = Deno.build;
  const report: DoctorReport = { cloze: VERSION, deno: Deno.version.deno, system: `${os} ${arch}`, core };
  await writeOut(values.json === true ? JSON.stringify(report) + "\n" : readable(report));
  return 0;
}
