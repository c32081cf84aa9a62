/** Words that became `[UNK]`: told by every command that reads text, refused where a result would mean nothing. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { type Place, SMALL_RUN, smallPlace, testWithCore } from "../support.ts";

/** Flags of a run with the vocabulary of `tokenizer`, on other text. */
const FLAGS = [
  ...SMALL_RUN.filter((flag) => !["--data", "text.txt", "--vocab-size", "200"].includes(flag)),
  ...["--tokenizer", "tokenizer", "--steps", "4"],
];

/** A place with a tokenizer of `text.txt`, and Thai in `thai.txt`. */
async function tokenizerPlace(): Promise<Place> {
  const place = smallPlace();
  const learned = ["train-tokenizer", "--data", "text.txt", "--output", "tokenizer", "--vocab-size", "200"];
  const { code, stderr } = await place.cloze(learned);
  assertEquals(code, 0, stderr);
  place.file("thai.txt", "The cat sees แมว และ หมา.\n\n".repeat(200));
  return place;
}

testWithCore(
  "pretrain refuses text whose words become [UNK], before it leaves a run, unless it is allowed",
  async () => {
    using place = await tokenizerPlace();
    const run = ["pretrain", ...FLAGS, "--data", "thai.txt", "--output", "out"];
    const refused = await place.cloze(run);
    assertEquals(refused.code, 1, refused.stderr);
    assertMatch(refused.stderr, /error: 42\.9% of the words \(600 of 1,400\) became \[UNK\], for example .*แมว.*Thai/);
    assertStringIncludes(refused.stderr, "--allow-unknown");
    assertEquals([...Deno.readDirSync(`${place.path}/out`)].map(({ name }) => name).sort(), [".lock", "data"]);

    const allowed = await place.cloze([...run, "--allow-unknown"]);
    assertEquals(allowed.code, 0, allowed.stderr);
    assertStringIncludes(allowed.stderr, "[UNK]: 42.9% of the words (600 of 1,400), ");
    assertStringIncludes(allowed.stderr, "warning: 42.9% of the words");
    const lines = Deno.readTextFileSync(`${place.path}/out/metrics.jsonl`).trim().split("\n").map((line) =>
      JSON.parse(line)
    );
    const start = lines.find(({ kind }) => kind === "start");
    assertEquals(start.train.unknown_words + start.held_out.unknown_words, 600);
    assertEquals(start.train.words + start.held_out.words, 1400);
    assertEquals(start.unknown.lacking[0].script, "Thai");
    assertEquals(lines.filter(({ rule }) => rule === "unknown_words").length, 1);
    const page = Deno.readTextFileSync(`${place.path}/out/report.html`);
    assertMatch(page, /\[UNK\] among the words<\/th><td>42\.9% \(\d+ of [\d,]+\)/);
    assertStringIncludes(page, "Warning at update 0: 42.9% of the words");
  },
);

testWithCore("pretrain says how many words became [UNK] where none or few did, without a warning", async () => {
  using place = smallPlace();
  const { code, stderr } = await place.cloze(["pretrain", ...SMALL_RUN, "--steps", "2", "--output", "out"]);
  assertEquals(code, 0, stderr);
  assertMatch(stderr, /no word of [\d,]+ became \[UNK\]/);
  assertEquals(stderr.match(/became \[UNK\]/g)?.length, 1, stderr);
});
