/** `cloze report` and the report that a run writes: real runs, the real command line. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type Place, SMALL_RUN, smallPlace, testWithCore } from "../support.ts";

const read = (place: Place, path: string) => Deno.readTextFileSync(`${place.path}/${path}`);
const lines = (place: Place, run: string) =>
  read(place, `${run}/metrics.jsonl`).trim().split("\n").map((line) => JSON.parse(line));

async function train(place: Place, ...flags: string[]): Promise<string> {
  const { code, stderr } = await place.cloze(["pretrain", ...SMALL_RUN, ...flags]);
  assertEquals(code, 0, stderr);
  return stderr;
}

testWithCore(
  "pretrain records how it began and ended, fills the same blanks each time, and writes its report",
  async () => {
    using place = smallPlace();
    const stderr = await train(place, "--output", "out", "--steps", "30", "--evaluate-every", "10");
    const metrics = lines(place, "out");
    const of = (kind: string) => metrics.filter((line) => line.kind === kind);
    assertEquals(metrics[0].kind, "start");
    assertEquals(metrics.at(-1), { ...metrics.at(-1), kind: "end", step: 30, interrupted: false });
    const [start] = of("start");
    assertEquals(start.folder, place.path);
    assertStringIncludes(start.command, "deno run pretrain --data text.txt");
    assertEquals(start.masking.mask_share + start.masking.random_share + start.masking.kept_share, 1);
    const blanks = of("blanks");
    assertEquals(blanks.map(({ step }) => step), [10, 20, 30]);
    const texts = blanks.map(({ lines }) => lines.map(({ text }: { text: string }) => text));
    assert(texts[0].length > 0);
    assertEquals(texts[1], texts[0]);
    for (const { text, answer, predictions } of blanks[0].lines) {
      assert(text.includes("[MASK]") && answer.length > 1 && predictions.length === 3, JSON.stringify(text));
    }
    // The 200 documents of the test's text are 60 sentences over and over.
    assertStringIncludes(stderr, "of the lines of the text are copies of earlier ones");
    assertEquals(of("warning").map(({ rule }) => rule), ["repeated_text"]);
    const page = read(place, "out/report.html");
    assertStringIncludes(page, "30 updates");
    assertStringIncludes(page, "It ran to its end.");
    assertStringIncludes(page, "copies of earlier ones");
  },
);

testWithCore("report writes the page of a run again, and one of several runs where it is told to", async () => {
  using place = smallPlace();
  await train(place, "--output", "runs/a", "--steps", "4");
  await train(place, "--output", "runs/b", "--steps", "6", "--seed", "1");
  await Deno.remove(`${place.path}/runs/a/report.html`);
  const one = await place.cloze(["report", "runs/a"]);
  assertEquals([one.code, one.stdout], [0, ""], one.stderr);
  assertStringIncludes(read(place, "runs/a/report.html"), "4 updates");
  const both = await place.cloze(["report", "runs/a", "runs/b/", "--output", "both.html"]);
  assertEquals(both.code, 0, both.stderr);
  assertStringIncludes(read(place, "both.html"), "<h1>The lowest held-out loss is that of ");
  assertStringIncludes(read(place, "both.html"), "their losses can be compared");
  const again = await place.cloze(["report", "runs/a", "--output", "both.html"]);
  assertEquals(again.code, 0, "a report may be replaced by a newer one");
});

testWithCore("report --text writes the verdict and the curve to standard output", async () => {
  using place = smallPlace();
  await train(place, "--output", "out", "--steps", "12");
  const { code, stdout, stderr } = await place.cloze(["report", "out", "--text"]);
  assertEquals(code, 0, stderr);
  assertStringIncludes(stdout, "12 updates");
  assertStringIncludes(stdout, "loss over 12 updates");
  assert(stdout.split("\n").every((line) => line.length <= 80), stdout);
});

testWithCore("report of a run that is resumed says so", async () => {
  using place = smallPlace();
  await train(place, "--output", "out", "--steps", "6");
  const { code, stderr } = await place.cloze(["pretrain", "--resume", "out", "--steps", "9"]);
  assertEquals(code, 0, stderr);
  assertEquals(lines(place, "out").filter(({ kind }) => kind === "start").length, 2);
  const page = read(place, "out/report.html");
  assertStringIncludes(page, "It was resumed once.");
  assertStringIncludes(page, "after step 6 to {&quot;steps&quot;:9}");
});

testWithCore("report refuses what is no run, and what is no report in its way", async () => {
  using place = smallPlace();
  const refuses = async (args: string[], ...messages: string[]) => {
    const { code, stdout, stderr } = await place.cloze(["report", ...args]);
    assert(code === 1 || code === 2, `${code} ${stderr}`);
    assertEquals(stdout, "");
    for (const message of ["error: ", ...messages]) assertStringIncludes(stderr, message);
    assert(!stderr.includes("    at "), stderr);
  };
  await refuses(["nowhere"], "is not the folder of a run", "hint: ");
  await refuses(["text.txt"], "text.txt");
  await refuses(["a", "--text", "--output", "b"], "give one of them");
  for (const folder of ["empty", "odd"]) Deno.mkdirSync(`${place.path}/${folder}`);
  place.file("empty/metrics.jsonl", "");
  await refuses(["empty"], "metrics.jsonl with figures in it");
  place.file("odd/metrics.jsonl", '{"step":1}\nnot json\n{"kind":"train","step":"x"}\n[1]\nnull\n');
  place.file("odd/run.json", "{");
  await refuses(["odd"], "odd/run.json cannot be read");
  await train(place, "--output", "out", "--steps", "2");
  place.file("mine.html", "<p>my page</p>");
  await refuses(["out", "--output", "mine.html"], "exists and is not a report of cloze", "--output");
  assertEquals(read(place, "mine.html"), "<p>my page</p>");
  await refuses(["out", "--output", "nowhere/report.html"], "nowhere/report.html");
});
