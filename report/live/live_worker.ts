/**
 * A thread that follows a run of this process, so that a page which asks never waits for a step of training, and a step never
 * for a page. Started by the pretrain command.
 */

import { messageOf } from "../../config/cloze_error.ts";
import { LiveServer } from "./live_server.ts";

/** What it is told: the folder at first, then that the run has ended, in whatever way. */
export type ToLiveWorker = { folder: string } | "end";
/** What it tells: the address of the page, or why there is none; what went wrong; that it has ended. */
export type FromLiveWorker = { address: string } | { failed: string } | { fault: string } | "ended";

/** The other side: a message to it, and those from it. (This file is checked without the types of a worker.) */
const starter = self as unknown as Worker;

const tell = (message: FromLiveWorker) => starter.postMessage(message);
let server: LiveServer | undefined;

starter.onmessage = async ({ data }: MessageEvent<ToLiveWorker>) => {
  if (data === "end") {
    await server?.last();
    await server?.[Symbol.asyncDispose]();
    tell("ended");
    return;
  }
  try {
    server = new LiveServer(data.folder, (fault) => tell({ fault }));
    tell({ address: server.address() });
  } catch (error) {
    tell({ failed: messageOf(error) });
  }
};
