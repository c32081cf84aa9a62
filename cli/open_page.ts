/** Opens pages of this machine's server in the browser, and the page of a run that this process trains. */

import { messageOf } from "../config/cloze_error.ts";
import type { FromLiveWorker, ToLiveWorker } from "../report/live/live_worker.ts";
import { bold, note, warn } from "./terminal.ts";

/** What opens an address, by system. */
const OPENERS: Partial<Record<typeof Deno.build.os, [program: string, ...args: string[]]>> = {
  darwin: ["open"],
  windows: ["rundll32", "url.dll,FileProtocolHandler"],
};
/** An opener that has not failed by then has opened it: some stay as long as the browser does. */
const OPENER_MS = 2000;

/** Opens an address in the browser; where there is none, the address is for whoever reads it. */
export async function openInBrowser(address: string): Promise<boolean> {
  const [program, ...args] = OPENERS[Deno.build.os] ?? ["xdg-open"];
  try {
    const child = new Deno.Command(program, {
      args: [...args, address],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    child.unref();
    return await orElse(child.status.then(({ success }) => success), true, OPENER_MS);
  } catch {
    return false; // there is no such program, or it may not be run
  }
}

/** How long a page may take to be there, and to say goodbye: training waits no longer for it. */
const PATIENCE_MS = 5000;

/**
 * Serves a page that follows a run of this process, from a thread of its own, and opens it. Whatever becomes of it, the run
 * goes on. Disposing waits a moment, so that the page can show how the run ended.
 */
export async function openLivePage(folder: string): Promise<AsyncDisposable> {
  const worker = new Worker(new URL("../report/live/live_worker.ts", import.meta.url), { type: "module" });
  const send = (message: ToLiveWorker) => worker.postMessage(message);
  const said = Promise.withResolvers<FromLiveWorker>(), ended = Promise.withResolvers<void>();
  worker.onmessage = ({ data }: MessageEvent<FromLiveWorker>) => {
    if (data === "ended") ended.resolve();
    else if ("fault" in data) warn(`the page of the run: ${data.fault}`);
    else said.resolve(data);
  };
  worker.onerror = (event) => {
    event.preventDefault(); // the run goes on
    said.resolve({ failed: event.message });
    ended.resolve();
  };
  send({ folder });
  const answer = await orElse<FromLiveWorker>(said.promise, { failed: "its server did not start in time" });
  if (typeof answer === "object" && "address" in answer) await sayPage(answer.address);
  else warn(`there is no page to follow the run: ${(answer as { failed: string }).failed}`, "it trains without one");
  return {
    async [Symbol.asyncDispose]() {
      try {
        send("end");
        await orElse(ended.promise, undefined);
      } catch (error) {
        warn(`the page of the run: ${messageOf(error)}`);
      }
      worker.terminate();
    },
  };
}

/** Opens it, or says its address. */
async function sayPage(address: string): Promise<void> {
  const isOpened = await openInBrowser(address);
  note(bold("page     ") + (isOpened ? "opened in the browser; it follows the run" : address));
  if (!isOpened) note("         open this address in a browser of this machine; it opens the page once");
}

/** What comes, or something else where it does not come soon. */
async function orElse<T>(coming: Promise<T>, otherwise: T, patience_ms = PATIENCE_MS): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<T>((done) => timer = setTimeout(done, patience_ms, otherwise));
  const first = await Promise.race([coming, late]);
  clearTimeout(timer);
  return first;
}
