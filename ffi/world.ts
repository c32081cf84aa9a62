/**
 * The processes that an MPI launcher (`mpirun`, `mpiexec`, `srun`) has started to train one model together. A launcher is told
 * by the variables that it sets; without one, no MPI library is looked for. Called by `training/crew.ts` and `doctor.ts`.
 */

import { ClozeError } from "../config/cloze_error.ts";
import { type Library, loadLibrary } from "./library.ts";
import { ERROR_LENGTH, throwIfFailed } from "./native_error.ts";

/** What a launcher says of this process. */
export interface Launched {
  launcher: string;
  /** How many it has started, and which of them this is, as far as it says. */
  size?: number;
  rank?: number;
  /** Which of those on its machine. */
  local?: number;
  /** Names of the libraries that work with it, the likeliest first. */
  names: string[];
  /** By which the launcher is spoken to. */
  descriptor?: number;
}

/** An MPI library. */
export interface MpiLibrary {
  path: string;
  interface: "MPI 5" | "MPICH" | "Open MPI";
  version: string;
}

/** Names of libraries with MPICH's start protocol, and of Open MPI's. */
const MPICH = ["libmpi_abi.so.1", "libmpi_abi.so.0", "libmpi.so.12", "libmpich.so.12", "libmpi.12.dylib"];
const OPEN_MPI = ["libmpi.so.40", "libmpi.40.dylib"];

const read = (name: string): string | undefined => {
  // Not permitted to read it, it is as if it were not set; nobody is asked.
  const { state } = Deno.permissions.querySync({ name: "env", variable: name });
  return state === "granted" ? Deno.env.get(name) || undefined : undefined;
};

const count = (text: string | undefined) => text !== undefined && /^\d{1,7}$/.test(text) ? Number(text) : undefined;

/** What launcher has started this process, if one has. `get` reads a variable of the environment. */
export function launched(get: (name: string) => string | undefined = read): Launched | undefined {
  const locals = ["OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"];
  const local = locals.map((name) => count(get(name))).find((rank) => rank !== undefined);
  const of = (launcher: string, names: string[], [size, rank]: (string | undefined)[], descriptor?: string) => ({
    launcher,
    names,
    ...(count(size) === undefined ? {} : { size: count(size)! }),
    ...(count(rank) === undefined ? {} : { rank: count(rank)! }),
    ...(local === undefined ? {} : { local }),
    ...(count(descriptor) === undefined ? {} : { descriptor: count(descriptor)! }),
  });
  const openMpi = get("OMPI_COMM_WORLD_SIZE");
  if (openMpi !== undefined) return of("mpirun", OPEN_MPI, [openMpi, get("OMPI_COMM_WORLD_RANK")]);
  const [size, rank] = [get("PMI_SIZE"), get("PMI_RANK")];
  if (size !== undefined && rank !== undefined) return of("mpiexec", MPICH, [size, rank], get("PMI_FD"));
  if (get("PMI_PORT") !== undefined && get("PMI_ID") !== undefined) return of("mpiexec", MPICH, []);
  const slurm = [get("SLURM_STEP_NUM_TASKS"), get("SLURM_PROCID")];
  if (get("PMIX_RANK") !== undefined) return of("srun", [...OPEN_MPI, ...MPICH], [slurm[0], get("PMIX_RANK")]);
  // A step of several tasks that was started without MPI: each would be alone, and overwrite what the others write.
  if ((count(slurm[0]) ?? 1) > 1) return of("srun", [...MPICH, ...OPEN_MPI], slurm);
  return undefined;
}

/** Where libraries may be beside the system's folders; `CLOZE_MPI_LIB` names one that is taken whatever else there is. */
export function mpiSearch(names: string[] = [...MPICH, ...OPEN_MPI]) {
  const homes = [
    ...(read("PATH")?.split(":") ?? []).filter((folder) => holdsLauncher(folder)).map((bin) =>
      bin.replace(/\/[^/]*\/?$/, "")
    ),
    read("VIRTUAL_ENV"),
    read("CONDA_PREFIX"),
  ].filter((home) => home !== undefined);
  const library = read("CLOZE_MPI_LIB");
  const folders = [...new Set(homes)].flatMap((home) => [`${home}/lib`, `${home}/lib64`]);
  return { ...(library === undefined ? {} : { library }), names, folders };
}

function holdsLauncher(folder: string): boolean {
  try {
    return folder.startsWith("/") && Deno.statSync(`${folder}/mpiexec`).isFile;
  } catch {
    return false;
  }
}

/** What is said where no library can be used. */
const HINT = "install the MPI library of that launcher (Debian: openmpi-bin or mpich; PyPI: mpich), or name it in " +
  "CLOZE_MPI_LIB; cloze doctor shows which there are";

/** A process that has not come for so long is stuck. */
const PATIENCE_MS = 600_000;

/** What the core says of a process that has joined the others. */
interface About {
  rank: number;
  size: number;
  library: MpiLibrary;
  host: string;
  cpus: string;
}

/** The processes, as one of them sees them. One call at a time. */
export class World {
  readonly #library: Library;
  /** This process's number, from 0, and how many there are. */
  readonly rank: number;
  readonly size: number;
  readonly mpi: MpiLibrary;
  /** This machine's name, and which of its processors this process may use. */
  readonly host: string;
  readonly cpus: string;

  private constructor(library: Library, about: About) {
    this.#library = library;
    this.rank = about.rank;
    this.size = about.size;
    this.mpi = about.library;
    this.host = about.host;
    this.cpus = about.cpus;
  }

  /**
   * Joins the others.
   *
   * @param patience_ms how long a process waits for the others before it says that one of them is stuck.
   * @throws {ClozeError} `engine` if the launcher's library cannot be used.
   */
  static async join({ launcher, size, names, descriptor }: Launched, patience_ms = PATIENCE_MS): Promise<World> {
    const library = loadLibrary();
    const request = new TextEncoder().encode(JSON.stringify({
      search: mpiSearch(names),
      patience_ms,
      ...(size === undefined ? {} : { size }),
      ...(descriptor === undefined ? {} : { descriptor }),
    }));
    const error = new Uint8Array(ERROR_LENGTH), out = new Uint8Array(1 << 14), written = new Uint32Array(1);
    const { cloze_join } = library.symbols;
    const status = await cloze_join(request, request.length, out, out.length, written, error, error.length);
    try {
      throwIfFailed(status, error);
    } catch (cause) {
      if (!(cause instanceof ClozeError)) throw cause;
      const many = size === undefined ? "several processes" : size === 1 ? "one process" : `${size} processes`;
      throw new ClozeError("engine", `${launcher} started ${many} that cannot work together: ${cause.message}`, {
        hint: cause.hint ?? HINT,
        cause,
      });
    }
    return new World(library, JSON.parse(new TextDecoder().decode(out.subarray(0, written[0]))));
  }

  /**
   * Gives `own` to every process, of as many bytes in each; returns what each has given, in their order. Waits for them as
   * long as it takes if it is `patient`.
   */
  async gather(own: Uint8Array<ArrayBuffer>, patient = false): Promise<Uint8Array[]> {
    const all = new Uint8Array(own.length * this.size), error = new Uint8Array(ERROR_LENGTH);
    const { cloze_gather } = this.#library.symbols;
    const status = await cloze_gather(own, own.length, all, all.length, patient ? 1 : 0, error, error.length);
    throwIfFailed(status, error);
    return Array.from({ length: this.size }, (_, i) => all.subarray(i * own.length, (i + 1) * own.length));
  }

  /** Leaves the others once they have come to the same. */
  async leave(): Promise<void> {
    const error = new Uint8Array(ERROR_LENGTH);
    throwIfFailed(await this.#library.symbols.cloze_leave(0, error, error.length), error);
  }

  /** Ends all processes at once, this one included. */
  async abort(): Promise<never> {
    const error = new Uint8Array(ERROR_LENGTH);
    await this.#library.symbols.cloze_leave(1, error, error.length);
    throw new ClozeError("engine", "the other processes could not be ended");
  }
}
