/**
 * Fetches MPICH with pip into target/mpi (60 MB), so that the tests can start several processes on machines that have no MPI;
 * they leave those tests out where there is none. usage: deno task mpi
 */

const folder = `${import.meta.dirname}/../target/mpi`;

async function run(command: string, args: string[]): Promise<void> {
  const { success } = await new Deno.Command(command, { args, stdin: "null" }).spawn().status;
  if (success) return;
  console.error(
    "error: pip did not install mpich\nhint: the messages above say why; openmpi-bin or mpich of the system do, too",
  );
  Deno.exit(1);
}

try {
  await run("python3", ["-m", "venv", folder]);
  await run(`${folder}/bin/python`, ["-m", "pip", "install", "--quiet", "mpich==5.0.*"]);
} catch (error) {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
  console.error("error: python3 was not found, whose pip fetches MPICH\nhint: install Python 3 with pip and venv");
  Deno.exit(1);
}
console.error("MPICH is in target/mpi; the tests use it from now on");
