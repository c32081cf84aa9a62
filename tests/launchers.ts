/** The MPI launchers that this machine has, for tests that start several processes for real, and what those leave. */

import { readMetrics } from "../run/metrics_file.ts";
import { type Outcome, type Place, testWithCore } from "./support.ts";

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
async function findLaunchers(): Promise<Launcher[]> {
  const paths = ["mpirun.openmpi", "mpiexec.mpich", `${root}target/mpi/bin/mpiexec`, "mpirun", "mpiexec"];
  const all = (await Promise.all(paths.map(found))).filter((launcher) => launcher !== undefined);
  return all.filter(({ name }, i) => all.findIndex((other) => other.name === name) === i);
}

export const launchers = await findLaunchers();
export const [launcher] = launchers;

/** A test that needs a launcher: skipped, with the reason, where there is none. */
export function testWithMpi(name: string, run: (t: Deno.TestContext) => Promise<void>): void {
  if (launcher !== undefined) return testWithCore(name, run);
  Deno.test({ name: `${name} (skipped: no MPI launcher)`, ignore: true, fn: () => {} });
}

/** No run of these takes longer; one that does hangs. */
const LIMIT_MS = 120_000;

/** Starts a program in so many processes. `others` is the last of them, where that is called with something else. */
export function startProgram(
  place: Place,
  by: Launcher,
  processes: number,
  program: string[],
  others?: string[],
): Deno.ChildProcess {
  // Each process leaves its number, so that a test can find it.
  const note = 'echo $$ > "pid-${OMPI_COMM_WORLD_RANK:-$PMI_RANK}"; exec "$@"';
  const noted = (program: string[]) => ["sh", "-c", note, "sh", ...program];
  const parts = others === undefined
    ? ["-n", String(processes), ...noted(program)]
    : ["-n", String(processes - 1), ...noted(program), ":", "-n", "1", ...noted(others)];
  return new Deno.Command(by.path, {
    args: parts,
    cwd: place.path,
    env: { ...place.env, ...by.env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(LIMIT_MS),
  }).spawn();
}

/** Starts a command in so many processes. `others` is what a second kind of process is called with instead. */
export function start(
  place: Place,
  by: Launcher,
  processes: number,
  args: string[],
  others?: string[],
): Deno.ChildProcess {
  const cloze = (args: string[]) => [Deno.execPath(), ...place.command(args)];
  return startProgram(place, by, processes, cloze(args), others === undefined ? undefined : cloze(others));
}

/** What it did, when it has ended. */
export async function outcome(child: Deno.ChildProcess): Promise<Outcome> {
  const { code, stdout, stderr } = await child.output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: decode(stdout), stderr: decode(stderr) };
}

/** The number by which the system knows a process. */
export const processOf = (place: Place, rank: number) => Number(Deno.readTextFileSync(`${place.path}/pid-${rank}`));

/** Weights, moments and losses of a run. */
export async function result(place: Place, name: string, step: number): Promise<string[]> {
  const folder = `${place.path}/${name}`;
  const hash = async (file: string) => {
    const bytes = await Deno.readFile(`${folder}/${file}`);
    return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
  };
  const lines = await readMetrics(`${folder}/metrics.jsonl`);
  const losses = lines.flatMap((line) => line.kind === "evaluation" ? [`${line.step} ${line.loss}`] : []);
  const last = lines.findLast((line) => line.kind === "train");
  return [
    await hash("model.safetensors"),
    await hash(`checkpoints/step-${step}/training_state.safetensors`),
    `${last?.grad_norm}`,
    ...losses.slice(-1),
  ];
}
