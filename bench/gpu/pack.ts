/**
 * Packs what has to travel to a machine with a GPU that has neither Rust nor a network, at most 64 MiB: the core's CUDA
 * tests and gpu_rate as programs, the peer's script, run.sh and README.md, which says how to use them there.
 * usage: deno run -A bench/gpu/pack.ts
 */

const root = new URL("../..", import.meta.url).pathname;
const folder = `${root}dist/gpu`;
const LIMIT = 64 << 20;

/** Runs a command in the project's folder and returns what it prints; its messages go to standard error. */
async function run(command: string, args: string[]): Promise<string> {
  const child = new Deno.Command(command, { args, cwd: root, stdin: "null", stderr: "inherit" });
  const { success, stdout } = await child.output();
  if (!success) {
    console.error(`error: ${command} ${args.join(" ")} failed`);
    Deno.exit(1);
  }
  return new TextDecoder().decode(stdout);
}

/** The program that cargo made for a target. */
async function program(args: string[], name: string): Promise<string> {
  const lines = (await run("cargo", [...args, "--release", "--message-format=json-render-diagnostics"])).split("\n");
  for (const line of lines.filter((line) => line.startsWith("{"))) {
    const message = JSON.parse(line);
    if (message.target?.name === name && message.executable) return message.executable;
  }
  console.error(`error: cargo made no program for ${name}`);
  Deno.exit(1);
}

await Deno.remove(folder, { recursive: true }).catch(() => {});
await Deno.mkdir(folder, { recursive: true });
const programs = {
  cuda_tests: await program(["test", "--no-run", "--test", "cuda"], "cuda"),
  gpu_rate: await program(["build", "--example", "gpu_rate"], "gpu_rate"),
};
for (const [name, path] of Object.entries(programs)) await run("strip", ["-o", `${folder}/${name}`, path]);
for (const name of ["run.sh", "training_step.py", "README.md"]) {
  await Deno.copyFile(`${root}bench/gpu/${name}`, `${folder}/${name}`);
}
const archive = `${root}dist/gpu.tar.gz`;
await run("tar", ["-czf", archive, "-C", folder, "."]);
const MiB = (path: string) => `${(Deno.statSync(path).size / 2 ** 20).toFixed(1)} MiB`;
for await (const { name } of Deno.readDir(folder)) console.error(`  ${name.padEnd(20)}${MiB(`${folder}/${name}`)}`);
console.error(`dist/gpu.tar.gz: ${MiB(archive)}`);
if (Deno.statSync(archive).size > LIMIT) {
  console.error("error: that is more than 64 MiB");
  Deno.exit(1);
}
