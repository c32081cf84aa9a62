/** Random calls of the core: whatever is passed, it answers or says what is wrong. */

import { locateLibrary } from "../../../ffi/library.ts";
import { buildCandle } from "../../support.ts";
import type { Counts } from "./boundary_calls.ts";
import type { Campaign, Figures } from "./campaign.ts";

/** Calls of a process; many processes, so that one that dies says little less than where. */
const CALLS_EACH = { short: 20_000, long: 50_000 };
const PROCESSES = { short: 1, long: 20 };

/** A process that has not ended by then hangs. */
const PATIENCE_MS = 600_000;

export const BOUNDARY: Campaign = {
  name: "boundary",
  goal: "no call of the core aborts, hangs or is answered with a bug of its own",
  async run(size, seed): Promise<Figures> {
    const figures: Figures = { tried: 0, outcomes: {}, bad: [] };
    try {
      locateLibrary();
      await buildCandle();
    } catch (error) {
      return { ...figures, skipped: (error as Error).message };
    }
    const folder = await Deno.makeTempDir({ prefix: "cloze-boundary-" });
    try {
      await Deno.writeTextFile(`${folder}/text`, "not tensors");
      if (Deno.build.os !== "windows") await new Deno.Command("mkfifo", { args: [`${folder}/fifo`] }).output();
      for (let i = 0; i < PROCESSES[size]; i++) await addCalls(figures, CALLS_EACH[size], seed * 1000 + i, folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
    return figures;
  },
};

async function addCalls(figures: Figures, calls: number, seed: number, folder: string): Promise<void> {
  const script = new URL("boundary_calls.ts", import.meta.url).pathname;
  const config = new URL("../../../deno.json", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "-A", `--config=${config}`, script, String(calls), String(seed), folder],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const patience = setTimeout(() => child.kill("SIGKILL"), PATIENCE_MS);
  const { code, signal, stdout, stderr } = await child.output();
  clearTimeout(patience);
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  if (code !== 0) {
    figures.bad.push(`seed ${seed}: the process ended with ${signal ?? code}: ${text(stderr).slice(-300)}`);
    return;
  }
  const counts: Counts = JSON.parse(text(stdout));
  figures.tried += counts.calls;
  for (const [status, count] of Object.entries(counts.statuses)) {
    figures.outcomes[status] = (figures.outcomes[status] ?? 0) + count;
  }
  figures.bad.push(...counts.bad);
}
