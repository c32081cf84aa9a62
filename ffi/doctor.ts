/** What the core finds on this machine. Called by `cloze doctor`. */

import { cudaOptions } from "./cuda.ts";
import { loadLibrary, locateLibrary } from "./library.ts";
import { type MpiLibrary, mpiSearch } from "./world.ts";
import { ERROR_LENGTH, throwIfFailed } from "./native_error.ts";

/** One of NVIDIA's libraries; without a path it was not found. */
export interface CudaLibrary {
  name: string;
  path: string | null;
  version: string | null;
  /** What to install. */
  install: string;
}

/** A machine, as the core sees it. */
export interface MachineReport {
  /** Path of the core library. */
  library: string;
  /** Version of the core. */
  version: string;
  /** What the CPU calls itself; nothing where it does not. */
  processor: string;
  /** Of the machine; 0 where it does not tell. */
  memory_bytes: number;
  instruction_set: string;
  threads: number;
  cuda: {
    libraries: CudaLibrary[];
    /** NCCL, which only the GPUs of several processes need. */
    nccl: CudaLibrary;
    /** `uuid` tells a GPU from all others. */
    gpus: { name: string; uuid: string; compute_capability: string; memory_bytes: number; problem: string | null }[];
    /** Why `--device cuda` would fail; null if it would not. */
    problem: string | null;
  };
  /** The MPI libraries that are found. */
  mpi: MpiLibrary[];
}

/**
 * Looks for a GPU and its libraries.
 *
 * @throws {ClozeError} if the core cannot be loaded.
 */
export async function inspectMachine(): Promise<MachineReport> {
  const { symbols } = loadLibrary();
  const { library_folders } = cudaOptions();
  const request = new TextEncoder().encode(JSON.stringify({ cuda: { library_folders }, mpi: mpiSearch() }));
  const error = new Uint8Array(ERROR_LENGTH);
  const written = new Uint32Array(1);
  for (let out = new Uint8Array(1 << 14);; out = new Uint8Array(written[0])) {
    const status = await symbols.cloze_doctor(request, request.length, out, out.length, written, error, error.length);
    throwIfFailed(status, error);
    if (written[0] > out.length) continue;
    return { library: locateLibrary(), ...JSON.parse(new TextDecoder().decode(out.subarray(0, written[0]))) };
  }
}
