/**
 * A thread that listens for signals while the main one is busy and sees none. Tells of them in shared memory. Started by
 * `stop_signals.ts`.
 */

/** The other side: a message to it, and those from it. (This file is checked without the types of a worker.) */
const starter = self as unknown as Worker;

starter.onmessage = ({ data }: MessageEvent<{ signals: Deno.Signal[]; seen: Int32Array }>) => {
  for (const signal of data.signals) Deno.addSignalListener(signal, () => Atomics.store(data.seen, 0, 1));
  starter.postMessage("listens");
};
