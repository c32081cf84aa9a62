/** Runs in several processes that go on from a model, or follow the clock. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { readMetrics } from "../../run/metrics_file.ts";
import { launcher, outcome, result, start, testWithMpi } from "../launchers.ts";
import { SMALL_RUN, smallPlace, smallText, trainedPlace } from "../support.ts";

testWithMpi(
  "a run from a model, with new tokens and other text, has the same bits in one process and several",
  async () => {
    using place = await trainedPlace();
    place.file("new.txt", smallText(80).replaceAll("night", "midnight").replaceAll("the", "zebra"));
    place.file("old.txt", smallText(40));
    place.file("other.txt", smallText(10).replaceAll("night", "bird"));
    const args = ["pretrain", "--from", "model", "--data", "new.txt", "--batch-tokens", "256", "--steps", "20"]
      .concat(["--extend", "3", "--replay", "old.txt:30%", "--reference", "other.txt", "--threads", "1"])
      .concat(["--max-sequence-length", "32", "--save-every", "10", "--keep-checkpoints", "2", "--output"]);
    const alone = await place.cloze([...args, "alone", "--micro-batches", "8"]);
    assertEquals(alone.code, 0, alone.stderr);
    const expected = await result(place, "alone", 20);
    const two = await outcome(start(place, launcher, 2, [...args, "two"]));
    assertEquals(two.code, 0, two.stderr);
    assertEquals(await result(place, "two", 20), expected);

    // As after a stop at step 10, with the model that it began with gone.
    Deno.removeSync(`${place.path}/model`, { recursive: true });
    Deno.removeSync(`${place.path}/two/checkpoints/step-20`, { recursive: true });
    const four = await outcome(start(place, launcher, 4, ["pretrain", "--resume", "two", "--threads", "1"]));
    assertEquals(four.code, 0, four.stderr);
    assertEquals(await result(place, "two", 20), expected);
  },
);

testWithMpi("a run by the clock ends in its time in several processes", async () => {
  using place = smallPlace();
  const args = ["pretrain", ...SMALL_RUN, "--budget", "3s", "--threads", "1", "--output", "run"];
  const { code, stderr } = await outcome(start(place, launcher, 2, args));
  assertEquals(code, 0, stderr);
  assertMatch(stderr, /^trained +[\d,]+ steps/m);
  const end = (await readMetrics(`${place.path}/run/metrics.jsonl`)).at(-1)!;
  assert(
    end.kind === "end" && !end.interrupted && end.elapsed_ms > 1000 && end.elapsed_ms < 10_000,
    `${end.elapsed_ms}`,
  );
});
