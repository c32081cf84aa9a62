/** Commands of cloze in a process of their own that is kept from one to the next, and begun anew when one ends it. */

import { TextLineStream } from "./text_lines.ts";

/** What a command did. */
export interface CommandResult {
  /** -1 if it ended the process, or hung. */
  code: number;
  stdout: string;
  stderr: string;
  /** By how much memory grew while it ran, at most. */
  grown_mb: number;
}

/** A command that takes longer hangs. */
const HANGS_MS = 120_000;

/** The process. */
export class Commands implements AsyncDisposable {
  #child: Deno.ChildProcess | undefined;
  #writer: WritableStreamDefaultWriter<Uint8Array> | undefined;
  #lines: ReadableStreamDefaultReader<string> | undefined;

  /** Runs a command to its end; paths have to be absolute. */
  async run(...args: string[]): Promise<CommandResult> {
    if (this.#child === undefined) this.#start();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const hangs = new Promise<undefined>((resolve) => timer = setTimeout(() => resolve(undefined), HANGS_MS));
    try {
      await this.#writer!.write(new TextEncoder().encode(JSON.stringify(args) + "\n"));
      const line = await Promise.race([this.#lines!.read(), hangs]);
      if (line?.value !== undefined) return JSON.parse(line.value);
      const why = line === undefined ? `it hung for ${HANGS_MS / 1000} s` : "it ended the process";
      return { code: -1, stdout: "", stderr: why, grown_mb: 0 };
    } catch (error) {
      return { code: -1, stdout: "", stderr: `it ended the process: ${error}`, grown_mb: 0 };
    } finally {
      clearTimeout(timer);
      if (await this.#isDead()) await this[Symbol.asyncDispose]();
    }
  }

  #start(): void {
    const script = new URL("command_server.ts", import.meta.url).pathname;
    const config = new URL("../../../deno.json", import.meta.url).pathname;
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-q", "-A", `--config=${config}`, script],
      env: { NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#writer = this.#child.stdin.getWriter();
    this.#lines = this.#child.stdout.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream()).getReader();
  }

  async #isDead(): Promise<boolean> {
    return await Promise.race([this.#child!.status.then(() => true), Promise.resolve(false)]);
  }

  /** Ends the process, also if it hangs. */
  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined) return;
    await this.#writer!.close().catch(() => {});
    const timer = setTimeout(() => child.kill("SIGKILL"), 2000);
    await child.status;
    clearTimeout(timer);
    while (!(await this.#lines!.read().catch(() => ({ done: true }))).done);
  }
}
