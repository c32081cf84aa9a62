import { assertEquals } from "@std/assert";
import { launched } from "./world.ts";

const by = (variables: Record<string, string>) => launched((name) => variables[name]);

Deno.test("launched knows the launchers by what they set, and each one's libraries", () => {
  const openMpi = by({ OMPI_COMM_WORLD_SIZE: "4", OMPI_COMM_WORLD_RANK: "3", PMIX_RANK: "3" });
  assertEquals(openMpi?.local, undefined);
  assertEquals([openMpi?.launcher, openMpi?.size, openMpi?.rank, openMpi?.names[0]], ["mpirun", 4, 3, "libmpi.so.40"]);
  const hydra = by({ PMI_SIZE: "2", PMI_RANK: "1", PMI_FD: "9" });
  assertEquals([hydra?.launcher, hydra?.size, hydra?.rank, hydra?.descriptor], ["mpiexec", 2, 1, 9]);
  assertEquals(hydra?.names[0], "libmpi_abi.so.1");
  const byPort = by({ PMI_PORT: "host:1", PMI_ID: "0" });
  assertEquals([byPort?.launcher, byPort?.size, byPort?.descriptor], ["mpiexec", undefined, undefined]);
  const slurm = by({ PMIX_RANK: "1", SLURM_STEP_NUM_TASKS: "8" });
  assertEquals([slurm?.launcher, slurm?.size, slurm?.rank], ["srun", 8, 1]);
  for (const name of ["OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"]) {
    assertEquals(by({ OMPI_COMM_WORLD_SIZE: "4", [name]: "2" })?.local, 2);
  }
});

Deno.test("launched sees a step of several tasks that was started without MPI, and none where there is no launcher", () => {
  assertEquals(by({ SLURM_STEP_NUM_TASKS: "4", SLURM_PROCID: "2" })?.size, 4);
  for (const variables of [{}, { SLURM_STEP_NUM_TASKS: "1", SLURM_PROCID: "0" }, { SLURM_NTASKS: "4" }]) {
    assertEquals(by(variables as Record<string, string>), undefined);
  }
});
