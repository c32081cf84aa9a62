/** A worker that does a job's units as they are posted to it, and posts what comes of them. Started by `worker_pool.ts`. */

import { ClozeError, messageOf } from "../config/cloze_error.ts";
import type { Unit } from "./unit.ts";
import { type JobResult, type JobSetup, startJob, type UnitJob, type UnitResult } from "./unit_jobs.ts";

/** What the pool posts. */
export type ToWorker =
  | { kind: "setup"; setup: JobSetup }
  | { kind: "unit"; unit: Unit; number: number }
  | { kind: "finish" };

/** What the worker posts. */
export type FromWorker =
  | { kind: "progress"; number: number; bytes: number }
  | { kind: "unit"; number: number; result: UnitResult }
  | { kind: "finished"; result: JobResult }
  | { kind: "failed"; code: ClozeError["code"] | undefined; message: string; hint: string | undefined };

let job: UnitJob;

/** The other side: a message to it, and those from it. (This file is checked without the types of a worker.) */
const starter = self as unknown as Worker;

starter.onmessage = async ({ data }: MessageEvent<ToWorker>) => {
  const post = (message: FromWorker) => starter.postMessage(message);
  try {
    if (data.kind === "setup") job = startJob(data.setup);
    else if (data.kind === "finish") post({ kind: "finished", result: job.finish() });
    else {
      const { unit, number } = data;
      const result = await job.run(unit, number, (bytes) => post({ kind: "progress", number, bytes }));
      post({ kind: "unit", number, result });
    }
  } catch (error) {
    const { code, hint } = error instanceof ClozeError ? error : { code: undefined, hint: undefined };
    post({ kind: "failed", code, message: messageOf(error), hint });
  }
};
