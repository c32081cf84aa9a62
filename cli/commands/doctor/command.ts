/** `cloze doctor`: what cloze runs on here, and what a GPU would need. */

import { VERSION } from "../../../config/run_config.ts";
import { inspectMachine, type MachineReport } from "../../../ffi/mod.ts";
import { writeOut } from "../../terminal.ts";
import type { DoctorOptions } from "./flags.ts";

/** Runs the command. */
export async function run(values: DoctorOptions): Promise<number> {
  const core = await inspectMachine();
  const { os, arch } = Deno.build;
  const report = { cloze: VERSION, deno: Deno.version.deno, system: `${os} ${arch}`, core };
  await writeOut(values.json === true ? JSON.stringify(report) + "\n" : readable(report));
  return 0;
}

function readable(report: { cloze: string; deno: string; system: string; core: MachineReport }): string {
  const { library, version, instruction_set, threads, cuda } = report.core;
  const rows: [string, string][] = [
    ["cloze", report.cloze],
    ["deno", report.deno],
    ["system", report.system],
    ["core", `${version}, ${library}`],
    ["cpu", `${instruction_set}, ${threads} threads`],
  ];
  for (const { name, path, version, install } of cuda.libraries) {
    rows.push([name, path === null ? `not found; install ${install}` : `${version ?? "of unknown version"}, ${path}`]);
  }
  for (const { name, compute_capability, memory_bytes } of cuda.gpus) {
    rows.push(["gpu", `${name}, compute capability ${compute_capability}, ${(memory_bytes / 2 ** 30).toFixed(0)} GiB`]);
  }
  rows.push(["cuda", cuda.problem === null ? "ready: --device cuda" : `not usable: ${cuda.problem}`]);
  return rows.map(([name, text]) => `${name.padEnd(10)}${text}\n`).join("");
}
