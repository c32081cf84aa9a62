/**
 * Runs commands of cloze one after the other in one process, so that thousands of them do not start thousands of processes.
 * In: arguments as JSON, one list a line. Out: what came of each, as JSON, one a line. Started by `commands.ts`.
 */

import { TextLineStream } from "./text_lines.ts";
import { main } from "../../../cli/main.ts";

const decoder = new TextDecoder();
const captured = { stdout: "", stderr: "" };
const reply = Deno.stdout.writeSync.bind(Deno.stdout);

for (const name of ["stdout", "stderr"] as const) {
  const capture = (bytes: Uint8Array) => {
    captured[name] += decoder.decode(bytes);
    return bytes.length;
  };
  Object.defineProperty(Deno[name], "writeSync", { value: capture });
  Object.defineProperty(Deno[name], "write", { value: (bytes: Uint8Array) => Promise.resolve(capture(bytes)) });
}

/** Begins to measure the most memory, where the system can. */
function forgetPeak(): void {
  try {
    Deno.writeTextFileSync("/proc/self/clear_refs", "5");
  } catch {
    // Not Linux.
  }
}

/** The most memory since then, in MB. */
function peak(): number {
  try {
    return Math.round(Number(/VmHWM:\s*(\d+) kB/.exec(Deno.readTextFileSync("/proc/self/status"))![1]) / 1024);
  } catch {
    return 0;
  }
}

for await (const line of Deno.stdin.readable.pipeThrough(new TextDecoderStream()).pipeThrough(new TextLineStream())) {
  captured.stdout = captured.stderr = "";
  forgetPeak();
  const before = Deno.memoryUsage().rss / 2 ** 20;
  const code = await main(JSON.parse(line));
  const answer = { code, ...captured, grown_mb: Math.max(0, Math.round(peak() - before)) };
  const bytes = new TextEncoder().encode(JSON.stringify(answer) + "\n");
  for (let at = 0; at < bytes.length;) at += reply(bytes.subarray(at));
}
