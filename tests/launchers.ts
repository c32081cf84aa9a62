/** The MPI launchers that this machine has, for tests that start several processes for real. */

const root = new URL("..", import.meta.url).pathname;

/** Lets any launcher start more processes than there are cores, as root too, and leaves them where they like to run. */
const ENV = {
  OMPI_ALLOW_RUN_AS_ROOT: "1",
  OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1",
  OMPI_MCA_rmaps_base_oversubscribe: "1",
  OMPI_MCA_hwloc_base_binding_policy: "none",
  PRTE_MCA_rmaps_default_mapping_policy: ":oversubscribe",
};

/** A launcher that can start two processes. */
export interface Launcher {
  /** Its path. */
  path: string;
  name: "Open MPI" | "MPICH" | "MPICH 5 (MPI 5)";
  env: Record<string, string>;
}

async function found(path: string): Promise<Launcher | undefined> {
  try {
    const command = new Deno.Command(path, { args: ["--version"], stdin: "null", stdout: "piped", stderr: "null" });
    const text = new TextDecoder().decode((await command.output()).stdout);
    const name = /Open MPI|OpenRTE/.test(text) ? "Open MPI" : path.startsWith(root) ? "MPICH 5 (MPI 5)" : "MPICH";
    return { path, name, env: ENV };
  } catch {
    return undefined; // there is none of that name
  }
}

/** All of them, each library once. */
export async function findLaunchers(): Promise<Launcher[]> {
  const paths = ["mpirun.openmpi", "mpiexec.mpich", `${root}target/mpi/bin/mpiexec`, "mpirun", "mpiexec"];
  const all = (await Promise.all(paths.map(found))).filter((launcher) => launcher !== undefined);
  return all.filter(({ name }, i) => all.findIndex((other) => other.name === name) === i);
}
