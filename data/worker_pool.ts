/**
 * Shares the units of a corpus out among workers and takes the results in the units' order, so that what is made of them
 * does not depend on how many workers there are. Used by `prepare.ts` and `count_words.ts`.
 */

import { ClozeError } from "../config/cloze_error.ts";
import type { Unit } from "./unit.ts";
import { rememberPerLine } from "./document_breaks.ts";
import { type JobResult, type JobSetup, startJob, type UnitResult } from "./unit_jobs.ts";
import type { FromWorker, ToWorker } from "./unit_worker.ts";

/** Units that may be done ahead of the first one that is not: bounds what waits to be taken. */
const AHEAD = 64;

/** What to do. */
export interface PoolOptions {
  setup: JobSetup;
  units: readonly Unit[];
  /** Most workers. */
  threads: number;
  /** Takes the results, in order. */
  onResult: (result: UnitResult, unit: Unit, number: number) => void;
  /** Told now and then how far it is. */
  onProgress: OnProgress;
}

/** Told how many bytes of the files have been read, of how many. */
export type OnProgress = (done: number, total: number) => void;

/**
 * Does all units and resolves to what each worker has collected.
 *
 * @throws what a worker throws, or `onResult`; the other workers are stopped.
 */
export async function runUnits(options: PoolOptions): Promise<JobResult[]> {
  const workers = Math.min(options.threads, options.units.length);
  return workers > 1 ? await inWorkers(options, workers) : await here(options);
}

async function here({ setup, units, onResult, onProgress }: PoolOptions): Promise<JobResult[]> {
  const job = startJob(setup);
  const total = bytesOf(units);
  let done = 0;
  for (const [number, unit] of units.entries()) {
    const result = await job.run(unit, number, (bytes) => onProgress(done + bytes, total));
    done += unit.bytes;
    take(result, unit, number, onResult);
  }
  return [job.finish()];
}

const bytesOf = (units: readonly Unit[]) => units.reduce((sum, { bytes }) => sum + bytes, 0);

/** Hands a result on, and keeps what it says of the file for whoever reads it next. */
function take(result: UnitResult, unit: Unit, number: number, onResult: PoolOptions["onResult"]): void {
  const { document_per_line } = result;
  if (document_per_line !== undefined) rememberPerLine(unit.file, unit.stamp, document_per_line);
  onResult(result, unit, number);
}

async function inWorkers(options: PoolOptions, count: number): Promise<JobResult[]> {
  const { setup, units, onResult, onProgress } = options;
  const waiting = new Map<number, UnitResult>();
  const read = new Map<number, number>(); // bytes of units in progress
  const total = bytesOf(units);
  const idle: Worker[] = [];
  const collected: JobResult[] = [];
  let next = 0, taken = 0, done = 0;
  const workers = Array.from(
    { length: count },
    () => new Worker(new URL("./unit_worker.ts", import.meta.url), { type: "module" }),
  );
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const post = (worker: Worker, message: ToWorker) => worker.postMessage(message);
  const handOut = () => {
    while (idle.length > 0 && next < units.length && next < taken + AHEAD) {
      post(idle.pop()!, { kind: "unit", unit: units[next], number: next });
      next++;
    }
    if (taken === units.length) { for (const worker of idle.splice(0)) post(worker, { kind: "finish" }); }
  };
  const takeAll = () => {
    for (let result = waiting.get(taken); result !== undefined; result = waiting.get(taken)) {
      waiting.delete(taken);
      take(result, units[taken], taken, onResult);
      taken++;
    }
  };
  const receive = (worker: Worker, message: FromWorker) => {
    if (message.kind === "failed") {
      const { code, hint } = message;
      throw code === undefined ? new Error(message.message) : new ClozeError(code, message.message, { hint });
    } else if (message.kind === "progress") {
      read.set(message.number, message.bytes);
    } else if (message.kind === "unit") {
      read.delete(message.number);
      done += units[message.number].bytes;
      waiting.set(message.number, message.result);
      takeAll();
      idle.push(worker);
      handOut();
    } else {
      collected.push(message.result);
      if (collected.length === count) resolve();
    }
    onProgress(done + read.values().reduce((a, b) => a + b, 0), total);
  };
  try {
    for (const worker of workers) {
      worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
        try {
          receive(worker, data);
        } catch (error) {
          reject(error);
        }
      };
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message));
      };
      post(worker, { kind: "setup", setup });
      idle.push(worker);
    }
    handOut();
    await promise;
    return collected;
  } finally {
    for (const worker of workers) worker.terminate();
  }
}
