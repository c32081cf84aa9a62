/**
 * What stops commands that train: Ctrl-C, SIGTERM, SIGUSR1, and SIGHUP, which comes when the terminal is closed. The first one lets
 * the run save and end; one that comes later ends the process at once.
 */

import { fstatSync } from "node:fs";
import { ClozeError } from "../config/cloze_error.ts";
import { endProgress, note, printStop } from "./terminal.ts";

/** What a signal does to the run in progress. */
export interface Stop {
  signal: AbortSignal;
  /** From now on a signal stops the run after its step. Before, nothing was learned yet, and it ends the process at once. */
  arm: () => void;
  /** The run has ended. */
  dispose: () => void;
}

/**
 * npx and the runner of tasks send on what the terminal has sent to all of them: one press arrives two or three times. What
 * comes within this time is the same press.
 */
const SAME_PRESS_MS = 1000;
/** The time passes in so many turns of the event loop, so that signals which wait for a busy thread are seen in it. */
const TURNS = 10;

/** The run that is in progress, of this process. */
let run: { controller: AbortController; armed: boolean; next: string; what: string } | undefined;
let pressed = false;
let isNextPress = false;
/** What is listened for; nothing, as long as no command has asked for it. */
let listened: Deno.Signal[] = [];

/**
 * Listens from now on until the process ends, because the second part of a press may come when the run has been saved.
 *
 * @param next what to type to go on, for a signal that comes before training has begun.
 * @param what is said then.
 */
export function stopSignals(next: string, what = "stopped before training began; nothing is learned yet"): Stop {
  const own = { controller: new AbortController(), armed: false, next, what };
  const outer = run; // a command that runs others
  run = own;
  if (listened.length === 0) listen(signals());
  return {
    signal: own.controller.signal,
    arm: () => own.armed = true,
    dispose: () => {
      if (run === own) run = outer;
    },
  };
}

/**
 * Does work that keeps the event loop busy for long, in which no signal would be seen. Meanwhile another thread listens, and
 * the work calls `check` now and then: after a signal that ends the process with a word, as `stop` does elsewhere.
 */
export async function stoppable<T>(work: (check: () => void) => T): Promise<T> {
  if (listened.length === 0 || run?.armed === true) return work(() => {});
  const seen = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  const worker = new Worker(new URL("signal_worker.ts", import.meta.url), { type: "module" });
  try {
    await new Promise((listens) => {
      worker.onmessage = listens;
      worker.postMessage({ signals: listened, seen });
    });
    return work(() => {
      if (Atomics.load(seen, 0) === 1) stop();
    });
  } finally {
    worker.terminate();
  }
}

function listen(to: Deno.Signal[]): void {
  for (const signal of to) Deno.addSignalListener(signal, stop);
  listened = to;
}

function stop(): void {
  if (pressed && !isNextPress) return;
  if (pressed || run?.armed !== true) {
    endProgress();
    if (!pressed && run !== undefined) {
      printStop(new ClozeError("interrupted", run.what, { hint: run.next }));
    }
    Deno.exit(130);
  }
  pressed = true;
  passTurn(TURNS);
  note("stopping; press Ctrl-C again to stop at once, without saving");
  run.controller.abort();
}

function passTurn(left: number): void {
  if (left === 0) isNextPress = true;
  else setTimeout(passTurn, SAME_PRESS_MS / TURNS, left - 1);
}

function signals(): Deno.Signal[] {
  if (Deno.build.os === "windows") return ["SIGINT", "SIGBREAK"];
  // SIGUSR1 is what schedulers send before time is up, when they are asked to.
  if (!outlivesTerminal()) return ["SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP"];
  Deno.addSignalListener("SIGHUP", () => {}); // Deno itself would end, whatever nohup has set
  return ["SIGINT", "SIGTERM", "SIGUSR1"];
}

/** Whether the command looks as if `nohup` had started it: no stream is a terminal, and there is no input. */
function outlivesTerminal(): boolean {
  if (Deno.stdin.isTerminal() || Deno.stdout.isTerminal() || Deno.stderr.isTerminal()) return false;
  try {
    return fstatSync(0).isCharacterDevice();
  } catch {
    return true; // the input is closed
  }
}
