/**
 * Shares the units of a corpus out among workers and takes the results in the units' order, so that what is made of them
 * does not depend on how many workers there are. Used by `prepare.ts` and `count_words.ts`.
 */

import { ClozeError } from "../config/cloze_error.ts";
import type { Unit } from "./corpus.ts";
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
  /** Told now and then how much is done, in tokens or sentences. */
  onProgress: (amount: number) => void;
}

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
  let done = 0;
  for (const [number, unit] of units.entries()) {
    const result = await job.run(unit, number, (amount) => onProgress(done + amount));
    done += result.amount;
    onResult(result, unit, number);
  }
  return [job.finish()];
}

async function inWorkers(options: PoolOptions, count: number): Promise<JobResult[]> {
  const { setup, units, onResult, onProgress } = options;
  const waiting = new Map<number, UnitResult>();
  const amounts = new Map<number, number>(); // of units in progress
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
  const take = () => {
    for (let result = waiting.get(taken); result !== undefined; result = waiting.get(taken)) {
      waiting.delete(taken);
      onResult(result, units[taken], taken);
      taken++;
    }
  };
  const receive = (worker: Worker, message: FromWorker) => {
    if (message.kind === "failed") {
      const { code, hint } = message;
      throw code === undefined ? new Error(message.message) : new ClozeError(code, message.message, { hint });
    } else if (message.kind === "progress") {
      amounts.set(message.number, message.amount);
    } else if (message.kind === "unit") {
      amounts.delete(message.number);
      done += message.result.amount;
      waiting.set(message.number, message.result);
      take();
      idle.push(worker);
      handOut();
    } else {
      collected.push(message.result);
      if (collected.length === count) resolve();
    }
    onProgress(done + amounts.values().reduce((a, b) => a + b, 0));
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
