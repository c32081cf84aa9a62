/** What the processes that share a run compute on: all on processors, or each on a GPU of its own. Used by `crew.ts`. */

import { ClozeError } from "../config/cloze_error.ts";
import { type Device, inspectMachine } from "../ffi/mod.ts";

/** What a process would compute on. */
export interface Equipment {
  /** Number of its GPU among those that it sees, and what tells that from all others. */
  gpu?: { number: number; uuid: string };
  /** Version of NCCL; nothing where there is none, and then what to install. */
  nccl?: string;
  install?: string;
  /** Why it has no GPU that can be used. */
  problem?: string;
}

/**
 * The GPU of the process number `local` of its machine: they take turns. A process that sees one GPU alone was given it.
 *
 * @throws {ClozeError} if the core cannot be loaded.
 */
export async function equipment(local: number): Promise<Equipment> {
  const { cuda: { gpus, nccl, problem } } = await inspectMachine();
  const found = nccl.path === null ? { install: nccl.install } : { nccl: nccl.version ?? "of unknown version" };
  const number = local % Math.max(1, gpus.length);
  const lacks = problem ?? gpus[number].problem;
  return lacks === null ? { gpu: { number, uuid: gpus[number].uuid }, ...found } : { problem: lacks, ...found };
}

/**
 * What all of them compute on.
 *
 * @param asked what the command says.
 * @param all what each process would.
 * @param nameOf a process, in words.
 * @throws {ClozeError} if that is not one kind, with a GPU each, and NCCL of one version between them.
 */
export function agreed(asked: Device, all: readonly Equipment[], nameOf: (rank: number) => string): "cpu" | "cuda" {
  const unlike = (text: string, hint: string) =>
    new ClozeError("usage", `the processes are not alike: ${text}`, { hint });
  const lacking = all.findIndex(({ gpu }) => gpu === undefined);
  if (lacking >= 0) {
    const equipped = all.findIndex(({ gpu }) => gpu !== undefined);
    const why = `${nameOf(lacking)} has no CUDA device: ${all[lacking].problem}`;
    if (equipped >= 0) {
      throw unlike(`${nameOf(equipped)} has a GPU, but ${why}`, "take machines that are alike, or --device cpu");
    }
    if (asked === "auto") return "cpu";
    throw new ClozeError("engine", why, {
      hint: "cloze doctor shows driver and libraries; --device cpu does without the GPU",
    });
  }
  if (all.length === 1) return "cuda";
  for (const [rank, { gpu }] of all.entries()) {
    const other = all.findIndex((one) => one.gpu!.uuid === gpu!.uuid);
    if (other < rank) {
      throw unlike(
        `${nameOf(other)} and ${nameOf(rank)} have one GPU together`,
        "start one process for each GPU: mpirun -n with their number, or srun --ntasks-per-node with that of a machine",
      );
    }
  }
  const without = all.findIndex(({ nccl }) => nccl === undefined);
  if (without >= 0) {
    throw new ClozeError("engine", `${nameOf(without)} has no NCCL, by which GPUs share updates`, {
      hint: `install ${all[without].install}; or give --device cpu`,
    });
  }
  const other = all.findIndex(({ nccl }) => nccl !== all[0].nccl);
  if (other >= 0) {
    throw unlike(
      `${nameOf(0)} has NCCL ${all[0].nccl}, but ${nameOf(other)} ${all[other].nccl}`,
      "install one version on all machines",
    );
  }
  return "cuda";
}
