/** What commands share that serve a page until they are stopped. */

import { writeOut } from "./terminal.ts";

/** Waits for Ctrl-C, SIGTERM or a closed terminal. */
export function stopped(): Promise<void> {
  const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT", "SIGBREAK"] : ["SIGINT", "SIGTERM", "SIGHUP"];
  return new Promise((resolve) => {
    const stop = () => {
      for (const signal of signals) Deno.removeSignalListener(signal, stop);
      resolve();
    };
    for (const signal of signals) Deno.addSignalListener(signal, stop);
  });
}

/** Shows a new address for each line that is typed: one opens the page once. */
export async function showAddresses(address: () => string): Promise<void> {
  for await (const chunk of Deno.stdin.readable) {
    if (chunk.includes(10)) await writeOut(`${address()}\n`);
  }
}
