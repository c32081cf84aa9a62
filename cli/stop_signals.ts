/** Ctrl-C and SIGTERM for commands that train: the first stops after the step in progress, the second at once. */

import { endProgress, note } from "./terminal.ts";

/** What Ctrl-C and SIGTERM do. */
export interface Stop {
  signal: AbortSignal;
  /** From now on the first one stops the run after its step; before, it ends the process at once, like the second. */
  arm: () => void;
  dispose: () => void;
}

/** Listens for both. */
export function stopSignals(): Stop {
  const controller = new AbortController();
  let armed = false;
  const stop = () => {
    if (!armed || controller.signal.aborted) {
      endProgress();
      Deno.exit(130);
    }
    note("stopping after this step; press Ctrl-C again to stop at once");
    controller.abort();
  };
  const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  for (const signal of signals) Deno.addSignalListener(signal, stop);
  return {
    signal: controller.signal,
    arm: () => armed = true,
    dispose: () => signals.forEach((signal) => Deno.removeSignalListener(signal, stop)),
  };
}
