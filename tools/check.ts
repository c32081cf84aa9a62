/**
 * The gate: everything that has to hold before a change is done. Stops at nothing, so that one run shows all that is
 * wrong. usage: deno task check
 */

const root = `${import.meta.dirname}/..`;
const deno = Deno.execPath();

const STAGES: [name: string, command: string, args: string[]][] = [
  ["format (TypeScript)", deno, ["fmt", "--check", "--quiet"]],
  ["format (Rust)", "cargo", ["fmt", "--all", "--check"]],
  ["lint", deno, ["lint", "--quiet"]],
  ["types", deno, ["check", "--quiet", "."]],
  ["clippy", "cargo", ["clippy", "--release", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]],
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
