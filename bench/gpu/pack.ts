/**
 * Packs what has to travel to a machine with a GPU that has neither Rust nor a network, at most 64 MiB: the core's CUDA
 * tests and gpu_rate as programs, the core library, Deno (compressed, if it fits), the peer's script and run.sh. There,
 * unpack it and run `bash run.sh`. Nothing of it has run on a GPU yet. usage: deno run -A bench/gpu/pack.ts
 */

const root = new URL("../..", import.meta.url).pathname;
const folder = `${root}dist/gpu`;
const LIMIT = 64 << 20;

/** Runs a command in the project's folder and returns what it prints; its messages go to standard error. */
async function run(command: string, args: string[], stderr: "inherit" | "piped" = "inherit"): Promise<string> {
  const child = new Deno.Command(command, { args, cwd: root, stdin: "null", stderr });
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
  "libcloze_core.so": `${root}target/release/libcloze_core.so`,
};
await run("cargo", ["build", "--release", "--lib"]);
for (const [name, path] of Object.entries(programs)) await run("strip", ["-o", `${folder}/${name}`, path]);
for (const name of ["run.sh", "training_step.py"]) {
  await Deno.copyFile(`${root}bench/gpu/${name}`, `${folder}/${name}`);
}
await Deno.writeFile(`${folder}/deno.xz`, await compressed(Deno.execPath()));

async function compressed(path: string): Promise<Uint8Array> {
  const { success, stdout } = await new Deno.Command("xz", { args: ["-6", "-T0", "-c", path], stdin: "null" }).output();
  return success ? stdout : new Uint8Array();
}

const archive = `${root}dist/gpu.tar.gz`;
const size = async () => {
  await run("tar", ["-czf", archive, "-C", folder, "."]);
  return (await Deno.stat(archive)).size;
};
let bytes = await size();
if (bytes > LIMIT) {
  console.error(`without Deno, which does not fit: ${(bytes / 2 ** 20).toFixed(1)} MiB with it`);
  await Deno.remove(`${folder}/deno.xz`);
  bytes = await size();
}
for await (const { name } of Deno.readDir(folder)) {
  console.error(`  ${name.padEnd(20)}${((await Deno.stat(`${folder}/${name}`)).size / 2 ** 20).toFixed(1)} MiB`);
}
console.error(`dist/gpu.tar.gz: ${(bytes / 2 ** 20).toFixed(1)} MiB`);
if (bytes > LIMIT) {
  console.error("error: that is more than 64 MiB");
  Deno.exit(1);
}
