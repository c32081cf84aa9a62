/** What `doctor` shows. */

import { counted } from "../../../config/numbers.ts";
import type { MachineReport } from "../../../ffi/mod.ts";
import { hanging, outColumns } from "../../terminal.ts";

/** What cloze runs on here. */
export interface DoctorReport {
  /** Versions. */
  cloze: string;
  deno: string;
  /** Operating system and processor. */
  system: string;
  core: MachineReport;
  /** What `--dtype auto` takes on the CPU, and for which instructions. */
  auto: { dtype: string; instruction_set: string };
}

/** The report in lines. */
export function readable(report: DoctorReport): string {
  const { library, version, processor, memory_bytes, instruction_set, threads, cuda, mpi } = report.core;
  const rows: [string, string][] = [
    ["cloze", report.cloze],
    ["deno", report.deno],
    ["system", report.system],
    ["core", `${version}, ${library}`],
    ["cpu", [...(processor === "" ? [] : [processor]), instruction_set, counted(threads, "thread")].join(", ")],
    ...(memory_bytes === 0 ? [] : [["memory", gib(memory_bytes)] as [string, string]]),
    ["dtype", `auto takes ${report.auto.dtype} (${report.auto.instruction_set})`],
  ];
  for (const { name, path, version, install } of [...cuda.libraries, cuda.nccl]) {
    rows.push([name, path === null ? `not found; install ${install}` : `${version ?? "of unknown version"}, ${path}`]);
  }
  for (const { name, compute_capability, memory_bytes } of cuda.gpus) {
    rows.push(["gpu", `${name}, compute capability ${compute_capability}, ${gib(memory_bytes)}`]);
  }
  rows.push(["cuda", cuda.problem === null ? "ready: --device cuda" : `not usable: ${cuda.problem}`]);
  for (const { path, version } of mpi) rows.push(["mpi", `${version}, ${path}`]);
  if (mpi.length === 0) {
    rows.push([
      "mpi",
      "not found; to train in several processes install openmpi-bin, mpich, or the PyPI package mpich",
    ]);
  }
  return rows.flatMap(([name, text]) => hanging(name.padEnd(10) + text, outColumns())).join("\n") + "\n";
}

const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(0)} GiB`;
