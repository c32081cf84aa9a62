/**
 * Two processes of one thread against one process of two threads, in turns: tokens/s, the share of the time that the two
 * spend in exchanges, and the memory of a process (on Linux). The one process is measured as it cuts its updates itself and cut as the two share them; prints and
 * writes results/scale_out.json. Needs an MPI launcher. Not part of the product.
 *
 * usage: deno run -A bench/scale_out.ts [--presets tiny,mini,small] [--rounds 3] [--seconds 20] [--batch-tokens 8192]
 *        [--dtype auto]
 */

import { readMetrics } from "../run/metrics_file.ts";
import { type Launcher, launchers } from "../tests/launchers.ts";

const root = new URL("..", import.meta.url).pathname;

function flag(name: string, standard: string): string {
  const at = Deno.args.indexOf(name);
  return at < 0 ? standard : Deno.args[at + 1];
}

/** A way to train the same model on two cores. */
interface Side {
  name: string;
  processes: number;
  threads: number;
  more: string[];
}

const SIDES: Side[] = [
  { name: "one process, two threads", processes: 1, threads: 2, more: [] },
  { name: "one process, two threads, cut in 8", processes: 1, threads: 2, more: ["--micro-batches", "8"] },
  { name: "two processes, one thread each", processes: 2, threads: 1, more: [] },
];

/** Tokens/s, milliseconds of exchanges a second, the most memory that a process had, and the load of the machine before. */
interface Turn {
  tokens_per_second: number;
  exchange_share: number;
  mib: number;
  load: number;
}

async function turn(
  by: Launcher,
  side: Side,
  preset: string,
  batch: string,
  dtype: string,
  seconds: number,
): Promise<Turn> {
  const folder = await Deno.makeTempDir();
  const [load] = Deno.loadavg();
  try {
    const args = ["run", "-q", "-A", `${root}cli/main.ts`, "pretrain", "--preset", preset, "--output", `${folder}/run`]
      .concat(["--batch-tokens", batch, "--max-sequence-length", "128", "--full-sentences", "--budget", `${seconds}s`])
      .concat(["--evaluate-every", "1000000000", "--save-every", "1000000000", "--dropout", "0.1", "--dtype", dtype])
      .concat(["--threads", String(side.threads), ...side.more]);
    const noted = ["-c", `echo $$ > ${folder}/pid-$$; exec "$@"`, "sh", Deno.execPath(), ...args];
    const command = new Deno.Command(side.processes === 1 ? "sh" : by.path, {
      args: side.processes === 1 ? noted : ["-n", String(side.processes), "sh", ...noted],
      env: { ...by.env, NO_COLOR: "1" },
      cwd: root,
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    });
    let mib = 0;
    const watch = setInterval(() => mib = Math.max(mib, ...peaks(folder)), 200);
    const { success, stderr } = await command.output().finally(() => clearInterval(watch));
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    const lines = (await readMetrics(`${folder}/run/metrics.jsonl`)).filter((line) => line.kind === "train");
    const [first, last] = [lines[0], lines[lines.length - 1]]; // the first one warms up
    const ms = last.elapsed_ms - first.elapsed_ms;
    const exchanged = lines.slice(1).reduce((sum, { exchange_ms = 0 }) => sum + exchange_ms, 0);
    return { tokens_per_second: 1000 * (last.tokens - first.tokens) / ms, exchange_share: exchanged / ms, mib, load };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The most memory that each process in progress has had, in MiB. */
function peaks(folder: string): number[] {
  const processes = [...Deno.readDirSync(folder)].filter(({ name }) => name.startsWith("pid-"));
  return processes.map(({ name }) => {
    try {
      const status = Deno.readTextFileSync(`/proc/${name.slice("pid-".length)}/status`);
      return Number(/^VmHWM:\s*(\d+) kB/m.exec(status)?.[1] ?? 0) / 1024;
    } catch {
      return 0; // it has ended, or the system has no such files
    }
  });
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

if (import.meta.main) {
  const [launcher] = launchers;
  if (launcher === undefined) throw new Error("there is no MPI launcher: deno task mpi fetches one");
  const [rounds, seconds] = [Number(flag("--rounds", "3")), Number(flag("--seconds", "20"))];
  const [batch, dtype] = [flag("--batch-tokens", "8192"), flag("--dtype", "auto")];
  const rows = [];
  for (const preset of flag("--presets", "tiny,mini,small").split(",")) {
    const turns: Turn[][] = SIDES.map(() => []);
    for (let round = 0; round < rounds; round++) {
      for (const [i, side] of SIDES.entries()) turns[i].push(await turn(launcher, side, preset, batch, dtype, seconds));
    }
    for (const [i, { name }] of SIDES.entries()) {
      const row = {
        preset,
        side: name,
        tokens_per_second: Math.round(median(turns[i].map((turn) => turn.tokens_per_second))),
        ratio: median(turns[i].map((turn, k) => turn.tokens_per_second / turns[0][k].tokens_per_second)),
        exchange_share: median(turns[i].map((turn) => turn.exchange_share)),
        mib: Math.round(Math.max(...turns[i].map(({ mib }) => mib))),
        load: turns[i].map(({ load }) => load),
      };
      rows.push(row);
      console.log(row);
    }
  }
  const command = `deno run -A bench/scale_out.ts ${Deno.args.join(" ")}`.trim();
  const result = { command, launcher: launcher.name, batch_tokens: Number(batch), dtype, rounds, seconds, rows };
  await Deno.writeTextFile(`${root}bench/results/scale_out.json`, JSON.stringify(result, null, 2) + "\n");
}
