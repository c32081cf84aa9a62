/**
 * Runs every suite, Deno's and Rust's, and closes with one line: `N passed, N failed`. A suite that ends without a result
 * counts as a failure. usage: deno task test
 */

const root = `${import.meta.dirname}/..`;

interface Tally {
  passed: number;
  failed: number;
  ignored: number;
}

/** Runs a command, shows its output as it comes, and returns it. */
async function show(command: string, args: string[]): Promise<{ text: string; success: boolean }> {
  const child = new Deno.Command(command, {
    args,
    cwd: root,
    env: { NO_COLOR: "1", CARGO_TERM_COLOR: "never" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let text = "";
  const follow = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>, to: typeof Deno.stdout) => {
    for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      to.writeSync(new TextEncoder().encode(chunk));
    }
  };
  await Promise.all([follow(child.stdout, Deno.stdout), follow(child.stderr, Deno.stderr)]);
  return { text, success: (await child.status).success };
}

/** Sums `N passed`, `N failed`, `N ignored` over the summary lines of a run. */
function tally(text: string, summary: RegExp): Tally {
  const total = { passed: 0, failed: 0, ignored: 0 };
  for (const [line] of text.matchAll(summary)) {
    for (const key of ["passed", "failed", "ignored"] as const) {
      total[key] += Number(new RegExp(`(\\d+) ${key}`).exec(line)?.[1] ?? 0);
    }
  }
  return total;
}

const suites = [
  {
    name: "Deno",
    command: Deno.execPath(),
    args: ["test", "-A", "--quiet", "--sanitize-ops", "--sanitize-resources"],
    summary: /^(?:ok|FAILED) \| .*$/gm,
  },
  {
    name: "Rust",
    command: "cargo",
    args: ["test", "--release", "--workspace", "--no-fail-fast"],
    summary: /^test result: .*$/gm,
  },
];

const total: Tally = { passed: 0, failed: 0, ignored: 0 };
const skipped: string[] = [];
for (const { name, command, args, summary } of suites) {
  console.log(`\n== ${name} ==`);
  const { text, success } = await show(command, args);
  const result = tally(text, summary);
  // A crash or a compile error leaves no count of failures behind.
  if (!success && result.failed === 0) result.failed = 1;
  if (result.passed === 0) result.failed = Math.max(1, result.failed);
  for (const key of ["passed", "failed", "ignored"] as const) total[key] += result[key];
  skipped.push(...[...text.matchAll(/^.*\(skipped: .*\) \.\.\. ignored.*$/gm)].map(([line]) => line));
}

console.log(`\nGPU tests: 0 run, because this version has no GPU engine.`);
if (total.ignored > 0) console.log(`${total.ignored} skipped:\n${skipped.map((line) => `  ${line}`).join("\n")}`);
console.log(`${total.passed} passed, ${total.failed} failed`);
Deno.exit(total.failed > 0 ? 1 : 0);
