/**
 * Runs every test, of TypeScript and of Rust, and ends with the line `N passed, N failed`. Expects what tools/setup.ts
 * makes. A suite that ends without results counts as a failure, so that a crash cannot look like success.
 *
 * It is not called test.ts because `deno test` would take it for a test, which would start itself for ever.
 *
 * usage: deno run test [--deno | --rust] [PATH…]   paths are given to `deno test` and leave out Rust
 */

import { parseDenoReport, parseRustReport, type Report } from "./test_report.ts";

const root = `${import.meta.dirname}/..`;
const encoder = new TextEncoder();
/** A suite that takes longer hangs. It is stopped and counts as failed. */
const LIMIT_MS = 30 * 60_000;

/** Runs a command in the project's folder, shows what it prints and returns it too. */
async function show(command: string, args: string[]): Promise<{ code: number; text: string }> {
  const child = new Deno.Command(command, {
    args,
    cwd: root,
    // Colours would get lost in files, and RUST_BACKTRACE makes Deno print a backtrace of itself.
    env: { RUST_BACKTRACE: "0", ...(Deno.stdout.isTerminal() ? {} : { NO_COLOR: "1" }) },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
    signal: AbortSignal.timeout(LIMIT_MS),
  }).spawn();
  let text = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    Deno.stdout.writeSync(encoder.encode(chunk));
  }
  return { code: (await child.status).code, text };
}

async function runDeno(paths: string[]): Promise<Report> {
  const report = await Deno.makeTempFile({ suffix: ".xml" });
  try {
    const permissions = ["read", "write", "env", "run", "sys", "ffi", "net=127.0.0.1"]
      .map((name) => `--allow-${name}`);
    const { code } = await show(Deno.execPath(), [
      "test",
      "--frozen",
      "--no-prompt",
      ...permissions,
      "--sanitize-ops",
      "--sanitize-resources",
      `--junit-path=${report}`,
      ...paths,
    ]);
    return parseDenoReport(await Deno.readTextFile(report), code);
  } finally {
    await Deno.remove(report);
  }
}

async function runRust(): Promise<Report> {
  try {
    const { code, text } = await show("cargo", ["test", "--release", "--workspace", "--no-fail-fast"]);
    return parseRustReport(text, code);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return { passed: 0, failed: 1, skipped: [], crashed: "cargo was not found; install Rust with rustup (rustup.rs)" };
  }
}

const paths = Deno.args.filter((arg) => !arg.startsWith("--"));
const unknown = Deno.args.find((arg) => arg.startsWith("--") && arg !== "--deno" && arg !== "--rust");
if (unknown !== undefined) {
  console.error(`error: deno run test has no flag ${unknown}\nhint: --deno or --rust runs one of the two suites`);
  Deno.exit(2);
}
const suites: [string, () => Promise<Report>][] = [];
if (!Deno.args.includes("--rust")) suites.push(["Deno", () => runDeno(paths)]);
if (!Deno.args.includes("--deno") && paths.length === 0) suites.push(["Rust", runRust]);

// This task's caller is not the caller of the commands that tests start in folders of their own.
Deno.env.delete("INIT_CWD");

const start = performance.now();
const rows: string[] = [];
const skipped: string[] = [];
let passed = 0, failed = 0;
for (const [name, run] of suites) {
  console.log(`\n${name} tests`);
  const began = performance.now();
  const report = await run();
  passed += report.passed;
  failed += report.failed;
  skipped.push(...report.skipped);
  rows.push(
    `${name}: ${report.passed} passed, ${report.failed} failed, ${report.skipped.length} skipped ` +
      `(${((performance.now() - began) / 1000).toFixed(0)} s)` +
      (report.crashed === undefined ? "" : `; ${report.crashed}`),
  );
}

console.log(`\nAll suites (${((performance.now() - start) / 1000).toFixed(0)} s)`);
for (const row of rows) console.log(`  ${row}`);
for (const reason of skipped) console.log(`  skipped: ${reason}`);
const gpu = skipped.filter((reason) => /cuda|gpu/i.test(reason)).length;
console.log(`  GPU tests: ${gpu} skipped (${gpu === 0 ? "there are none" : "no CUDA device"})`);
console.log(`${passed} passed, ${failed} failed`);
Deno.exit(failed === 0 ? 0 : 1);
