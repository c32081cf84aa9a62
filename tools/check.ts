/**
 * The gate: everything that has to hold before a change is done. Stops at nothing, so that one run shows all that is
 * wrong. usage: deno task check
 */

const root = `${import.meta.dirname}/..`;
const deno = Deno.execPath();

type Stage = [name: string, command: string, args: string[]];

/** Machines that the core has code for. Checking what is written for another one takes no linker and runs nothing. */
const TARGETS = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "aarch64-apple-darwin",
  "x86_64-pc-windows-gnu",
];

const others = TARGETS.filter((target) => target !== Deno.build.target);
const installed = others.filter(isInstalled);
const missing = others.filter((target) => !installed.includes(target));
if (missing.length > 0) {
  console.error(`skip   clippy for machines without a target here; hint: rustup target add ${missing.join(" ")}`);
}

/** Whether Rust's standard library is there for a target. */
function isInstalled(target: string): boolean {
  const args = ["--print", "target-libdir", "--target", target];
  const { success, stdout } = new Deno.Command("rustc", { args, cwd: root, stderr: "null" }).outputSync();
  try {
    return success && Deno.statSync(new TextDecoder().decode(stdout).trim()).isDirectory;
  } catch {
    return false;
  }
}

function clippy(targets: string[] = []): string[] {
  const of = targets.flatMap((target) => ["--target", target]);
  return ["clippy", "--release", "--workspace", "--all-targets", "--quiet", ...of, "--", "-D", "warnings"];
}

const STAGES: Stage[] = [
  ["format (TypeScript)", deno, ["fmt", "--check", "--quiet"]],
  ["format (Rust)", "cargo", ["fmt", "--all", "--check"]],
  ["lint", deno, ["lint", "--quiet"]],
  ["types", deno, ["check", "--quiet", "."]],
  ["clippy", "cargo", clippy()],
  ...installed.length > 0 ? [["clippy (other machines)", "cargo", clippy(installed)] as Stage] : [],
  ["documentation of mod.ts", deno, ["doc", "--lint", "mod.ts"]],
  ["package for JSR", deno, ["publish", "--dry-run", "--allow-dirty", "--quiet"]],
  ["generated files", deno, ["run", "-A", "-q", "tools/docs.ts", "--check"]],
  ["tests", deno, ["run", "-A", "-q", "tools/run_tests.ts"]],
];

const failed: string[] = [];
for (const [name, command, args] of STAGES) {
  const began = performance.now();
  const last = name === "tests";
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args,
    cwd: root,
    stdin: "null",
    stdout: last ? "inherit" : "piped",
    stderr: last ? "inherit" : "piped",
  }).output().then((output) => ({
    success: output.success,
    stdout: last ? new Uint8Array() : output.stdout,
    stderr: last ? new Uint8Array() : output.stderr,
  }));
  console.error(`${success ? "ok    " : "FAILED"} ${name} (${((performance.now() - began) / 1000).toFixed(1)} s)`);
  if (!success) {
    failed.push(name);
    Deno.stderr.writeSync(stdout);
    Deno.stderr.writeSync(stderr);
  }
}
if (failed.length > 0) {
  console.error(`\nfailed: ${failed.join(", ")}`);
  Deno.exit(1);
}
console.error("\nall is well");
