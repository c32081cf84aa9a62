/**
 * The Python peers of the measurements, in a virtual environment of their own. Not used by the product; called by the
 * scripts in bench/. `CLOZE_BENCH_PYTHON` names an interpreter that has them already.
 */

const HERE = import.meta.dirname!;

/** Path of a Python interpreter with the packages of peers/requirements.txt; installs them on first use. */
export async function peerPython(): Promise<string> {
  const given = Deno.env.get("CLOZE_BENCH_PYTHON");
  if (given) return given;
  const python = `${HERE}/.venv/bin/python`;
  try {
    await Deno.stat(python);
  } catch {
    console.error("installing the peers into bench/.venv (once; several GB)");
    await run("python3", ["-m", "venv", `${HERE}/.venv`]);
    await run(python, ["-m", "pip", "install", "-q", "-r", `${HERE}/peers/requirements.txt`]);
  }
  return python;
}

async function run(command: string, args: string[]): Promise<void> {
  const { success } = await new Deno.Command(command, { args, stdout: "inherit", stderr: "inherit" }).output();
  if (!success) throw new Error(`${command} ${args.join(" ")} failed`);
}

/** A child process that answers one line of JSON per line of JSON. */
export class JsonLines {
  #child: Deno.ChildProcess;
  #writer: WritableStreamDefaultWriter<Uint8Array>;
  #reader: ReadableStreamDefaultReader<string>;
  #pending = "";

  constructor(command: string, args: string[], env: Record<string, string> = {}) {
    this.#child = new Deno.Command(command, { args, env, stdin: "piped", stdout: "piped", stderr: "null" }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#reader = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  async ask<T>(request: unknown): Promise<T> {
    await this.#writer.write(new TextEncoder().encode(JSON.stringify(request) + "\n"));
    while (!this.#pending.includes("\n")) {
      const { value, done } = await this.#reader.read();
      if (done) throw new Error("the peer ended before it answered");
      this.#pending += value;
    }
    const end = this.#pending.indexOf("\n");
    const line = this.#pending.slice(0, end);
    this.#pending = this.#pending.slice(end + 1);
    return JSON.parse(line) as T;
  }

  async close(): Promise<void> {
    await this.#writer.close();
    await this.#reader.cancel();
    await this.#child.status;
  }
}

/** Middle value of `values`; the mean of the two middle ones for an even count. */
export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** What a result has to say about where it was measured. */
export async function machine(): Promise<Record<string, unknown>> {
  let cpu = "unknown";
  try {
    cpu = (await Deno.readTextFile("/proc/cpuinfo")).match(/model name\s*:\s*(.*)/)?.[1] ?? cpu;
  } catch {
    // Not Linux: the result says unknown.
  }
  return { cpu, cores: navigator.hardwareConcurrency, os: Deno.build.target, deno: Deno.version.deno };
}
