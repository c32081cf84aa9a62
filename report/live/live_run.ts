/**
 * A run, fine-tuning or experiment as it grows in its folder: its page and how it stands, read again when there is more, and
 * never for more than a small share of the time, because whoever trains needs the machine. Called by live_server.ts.
 */

import { ClozeError } from "../../config/cloze_error.ts";
import { clock, grouped } from "../../config/numbers.ts";
import { isInUse } from "../../run/run_folder.ts";
import { type AnyRecord, pageOf, readRecord } from "../any_record.ts";
import type { PageContent } from "../document.ts";
import { html } from "../html.ts";
import { nameOf } from "../run_record.ts";

/** How a run stands. A lost one has recorded no end, and no process works on it. */
export type LiveState = "waiting" | "going" | "ended" | "stopped" | "lost";

/** A run at one time. */
export interface Snapshot {
  /** Grows whenever something is new. */
  revision: number;
  state: LiveState;
  /** The state, in a sentence. */
  said: string;
  page: PageContent;
}

/** Reading takes at most one part in so many of the time. */
const SPARE = 20;
/** Who writes is looked for when nothing was written for this long. */
const QUIET_MS = 5000;

/** Follows one folder. */
export class LiveRun {
  readonly #folder: string;
  #shown: Snapshot | undefined;
  #looking: Promise<Snapshot> | undefined;
  /** Of the file with the figures, when it was last read. */
  #stamp = "";
  #nextRead = 0;
  #nextCheck = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The run as it is now, or as it was a moment ago. */
  look(): Promise<Snapshot> {
    return this.#looking ??= this.#look().finally(() => this.#looking = undefined);
  }

  async #look(): Promise<Snapshot> {
    const shown = this.#shown, began = performance.now();
    if (shown !== undefined && began < this.#nextRead) return shown;
    const stamp = await stampOf(`${this.#folder}/metrics.jsonl`);
    const isNew = shown === undefined || stamp !== this.#stamp;
    if (!isNew && (shown.state === "ended" || shown.state === "stopped" || began < this.#nextCheck)) return shown;
    // What has just been written was written by someone; of what is found, that is not known.
    const isWorked = shown !== undefined && isNew || await isInUse(this.#folder);
    const { record, problem } = isNew ? await this.#read() : { record: undefined, problem: undefined };
    this.#stamp = stamp;
    const { page, state, said } = isNew
      ? {
        page: record === undefined ? emptyPage(this.#folder, problem!) : pageOf([record]),
        ...stateOf(record, isWorked),
      }
      : { page: shown.page, ...(isWorked ? shown : LOST) };
    const now = performance.now();
    this.#nextRead = now + SPARE * (now - began);
    this.#nextCheck = now + QUIET_MS;
    const isSame = !isNew && state === shown.state;
    return this.#shown = { revision: (shown?.revision ?? 0) + (isSame ? 0 : 1), state, said, page };
  }

  /** The record, or why there is none yet. */
  async #read(): Promise<{ record?: AnyRecord; problem?: string }> {
    try {
      return { record: await readRecord(this.#folder) };
    } catch (error) {
      if (error instanceof ClozeError) return { problem: error.message };
      throw error;
    }
  }
}

const LOST = {
  state: "lost",
  said:
    "No process works on this run, and it recorded no end: it was killed. The command that began it goes on with it.",
} as const;

function stateOf(record: AnyRecord | undefined, isWorked: boolean): Pick<Snapshot, "state" | "said"> {
  if (record === undefined) return { state: "waiting", said: "Waiting for the first figures." };
  if (record.kind === "experiment") return { state: "going", said: "Figures come as models are measured." };
  const { end, train } = record, last = train.at(-1);
  if (end !== undefined) {
    return end.interrupted
      ? { state: "stopped", said: `The run was stopped after update ${grouped(end.step)}, and can go on.` }
      : { state: "ended", said: `The run has ended, after update ${grouped(end.step)}.` };
  }
  if (!isWorked) return LOST;
  const far = last === undefined ? "no update yet" : `update ${grouped(last.step)}, ${clock(last.elapsed_ms)}`;
  return { state: "going", said: `Live: ${far}.` };
}

function emptyPage(folder: string, problem: string): PageContent {
  const body = html`
    <section>
      <h1>Nothing is recorded yet</h1>
      <p class="note">${problem}</p>
    </section>
  `;
  const words = { trained: "training", measured: "held-out", guessing: {} };
  return { title: nameOf(folder), body, footnote: "", curves: { runs: [], words } };
}

/** By this a file is known to have changed; nothing if there is none. */
async function stampOf(path: string): Promise<string> {
  const info = await Deno.stat(path).catch(() => undefined);
  return info === undefined ? "" : `${info.size} ${info.mtime?.getTime()} ${info.ino}`;
}
