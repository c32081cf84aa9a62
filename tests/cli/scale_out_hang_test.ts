/** A process that stands still: the others do not wait for it for ever. */

import { assert, assertMatch } from "@std/assert";
import { readMetrics } from "../../run/metrics_file.ts";
import { launchers, outcome, processOf, startProgram, testWithMpi } from "../launchers.ts";
import { SMALL_RUN, smallPlace, until } from "../support.ts";

const root = new URL("../..", import.meta.url).pathname;

testWithMpi("a process that stands still is named, and all of them end", async (t) => {
  for (const by of launchers) {
    // The leader; and with one launcher a follower for which others wait, too.
    for (const [stopped, processes] of by === launchers[0] ? [[0, 2], [1, 4]] : [[0, 2]]) {
      await t.step(`${by.name}, rank ${stopped} of ${processes}`, async () => {
        using place = smallPlace();
        const args = ["pretrain", ...SMALL_RUN, "--steps", "100000", "--threads", "1", "--output", "run"];
        const program = [Deno.execPath(), "run", "-q", "-A", `--config=${root}deno.json`, `${root}tests/impatient.ts`];
        const done = outcome(startProgram(place, by, processes, [...program, ...args]));
        const lines = () => readMetrics(`${place.path}/run/metrics.jsonl`).catch(() => []);
        await until(async () => (await lines()).some(({ kind }) => kind === "train"));
        const victim = processOf(place, stopped);
        Deno.kill(victim, "SIGSTOP");
        const began = performance.now();
        const { code, stderr } = await done;
        assert(code !== 0, stderr);
        assert(performance.now() - began < 30_000, "nothing waits for it");
        // Who waits for it, too, may be named beside it.
        const named = `(rank \\d, )*rank ${stopped}(, rank \\d)*, which`;
        assertMatch(stderr, new RegExp(`^error: rank \\d of ${processes} .*waited 3 s for ${named}`, "m"));
        await until(() => !isThere(victim));
      });
    }
  }
});

const isThere = (process: number) =>
  new Deno.Command("sh", { args: ["-c", `kill -0 ${process}`], stderr: "null" }).outputSync().success;
