import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Random, STREAMS } from "../data/rng.ts";
import type { Metric } from "../config/metric.ts";
import { opened, testInChromium } from "./chromium.ts";
import { exampleConfig, exampleMetrics, exampleRun } from "./example_run.ts";
import { document } from "./document.ts";
import { runsPage } from "./page.ts";
import { reportText } from "./report_text.ts";
import { runRecord } from "./run_record.ts";

const NOW = new Date("2026-02-03T04:05:06Z");
const HOSTILE = `</script><script>throw "x"</script>"'&<img src=x onerror=alert(1)>[MASK]`;

const hostileRun = () =>
  exampleRun({
    name: HOSTILE,
    text: HOSTILE,
    answer: HOSTILE,
    files: [HOSTILE],
    warnings: [{ kind: "warning", step: 1, elapsed_ms: 1, rule: "plateau", message: HOSTILE, hint: HOSTILE }],
  });

/** The page's data, as its script reads it. */
function dataOf(page: string) {
  const [, json] = /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(page)!;
  return JSON.parse(json);
}

Deno.test("runsPage has every part, and refers to nothing outside itself", () => {
  const page = document(runsPage([exampleRun({ answer: "Sonne" })]), NOW);
  const flag = (name: string) => `<span class="flag">--${name}</span>`; // is not broken
  for (
    const part of [
      "It learned, and was still learning: 28.0%",
      "twice as long",
      `pretrain ${flag("resume")} /runs/example ${flag("steps")} 2000`,
      "Loss, nats",
      "Learning rate",
      "Gradient norm",
      "Tokens per second",
    ]
      .concat(["Filled blanks over time", "fertility", "replaced by [MASK]", "To repeat it", "Configuration"])
      .concat([
        `deno run pretrain ${flag("data")}`,
        "c".repeat(64),
        "Deno 2.9.6",
        "two recorded runs",
        "Every evaluation",
      ])
      .concat(["<mark>Sonne</mark>", "update 100", "update 1,000", "1,234,567", "12.0%", "3,000"])
  ) {
    assert(page.includes(part), `the page lacks ${part}`);
  }
  assertStringIncludes(page, "The MIT License");
  const outside = [...page.matchAll(/(?:src|href)\s*=\s*["']?(?!data:)[^"'\s>]+|url\((?!data:)[^)]*\)|@import[^;]*/g)];
  assertEquals(outside.map(([text]) => text), []);
  assertEquals(dataOf(page).runs.length, 1);
});

Deno.test("runsPage keeps the probability behind an answer from right to left", () => {
  const page = document(runsPage([exampleRun({ answer: "שמש" })]), NOW);
  assert(/<bdi>[^<]*<mark>שמש<\/mark>[^<]*<\/bdi>/.test(page), "the sentence");
  assert(/<td[^>]*><bdi>(?:<mark>)?[^<]+(?:<\/mark>)?<\/bdi> \d+\.\d%/.test(page), "an answer");
});

Deno.test("runsPage shows next-sentence prediction only where it was trained", () => {
  assert(!document(runsPage([exampleRun()]), NOW).includes('data-panel="nsp_accuracy"'));
  const metrics = exampleMetrics().map((line) => line.kind === "evaluation" ? { ...line, nsp_accuracy: 0.6 } : line);
  const page = document(runsPage([runRecord("/runs/nsp", undefined, metrics)]), NOW);
  assertStringIncludes(page, 'data-panel="nsp_accuracy"');
  assertEquals(dataOf(page).runs[0].evaluation.nsp_accuracy[0], 0.6);
});

Deno.test("runsPage says what processes spend in exchanges, where there were several", () => {
  assert(!document(runsPage([exampleRun()]), NOW).includes("in exchanges"));
  // 10 of the 500 ms between two lines.
  const metrics = exampleMetrics().map((line) => line.kind === "train" ? { ...line, exchange_ms: 10 } : line);
  const page = document(runsPage([runRecord("/runs/shared", undefined, metrics)]), NOW);
  assertStringIncludes(page, "20,000 tokens/s in training; 2.0% of it in exchanges between processes");
});

Deno.test("runsPage lets no text of a run become markup or script", () => {
  const page = document(runsPage([hostileRun(), exampleRun()]), NOW);
  assertEquals(page.match(/<script/g)?.length, 3, "the data and two scripts");
  assertEquals(page.includes("<img"), false);
  assertEquals(dataOf(page).runs[0].name, HOSTILE.split("/").at(-1), "what a reader sees is the text itself");
});

Deno.test("runsPage of several runs says whether their losses can be compared", () => {
  const other = exampleRun({ name: "other" });
  assertStringIncludes(document(runsPage([exampleRun(), other]), NOW), "their losses can be compared");
  const twins = ["/a/out", "/b/out"].map((path) => runRecord(path, undefined, exampleMetrics()));
  assertEquals(dataOf(document(runsPage(twins), NOW)).runs.map(({ name }: { name: string }) => name), [
    "/a/out",
    "/b/out",
  ]);
  const different = exampleRun({ name: "different", tokenizer: "e".repeat(64) });
  assertStringIncludes(
    document(runsPage([exampleRun(), different]), NOW),
    "Their losses cannot be compared as they stand",
  );
});

Deno.test("runsPage takes runs of versions that recorded less, and one that has only begun", () => {
  const metrics = exampleMetrics();
  const some = [
    metrics.filter(({ kind }) => kind === "train" || kind === "evaluation"),
    metrics.filter(({ kind }) => kind === "train"),
    metrics.slice(0, 1),
    [{ ...metrics[1], loss: "3", accuracy: null }, ...metrics.slice(2)] as typeof metrics,
  ];
  for (const lines of some) {
    assertStringIncludes(document(runsPage([runRecord("/runs/old", undefined, lines)]), NOW), "</html>");
  }
});

Deno.test("runsPage takes metrics and configurations in which anything is missing or of another type", () => {
  const random = new Random(0, STREAMS.practice);
  const odd = [null, 0, -1, 1e300, "", "x", true, [], {}, [null], [[]]];
  /** The value with one place in it, chosen at random, taken away or replaced. */
  const damaged = (value: unknown): unknown => {
    if (typeof value !== "object" || value === null || random.below(6) === 0) return random.pick(odd);
    const copy = structuredClone(value) as Record<string, unknown>;
    const names = Object.keys(copy);
    if (names.length === 0) return random.pick(odd);
    const name = random.pick(names);
    if (random.below(3) === 0) delete copy[name];
    else copy[name] = damaged(copy[name]);
    return copy;
  };
  const heldOut = Array.from({ length: 3 }, (_, i) => ({ loss: 6 - i, accuracy: 0.1 * (i + 1) }));
  for (let i = 0; i < 300; i++) {
    random.at(0, i);
    const metrics = exampleMetrics({ heldOut, answer: "Sonne" })
      .map((line) => random.below(4) === 0 ? damaged(line) : line)
      // As they are read from a file.
      .filter((line): line is Metric => typeof (line as Metric | null)?.step === "number");
    const run = runRecord("/runs/odd", random.below(2) === 0 ? damaged(exampleConfig()) : undefined, metrics);
    for (const runs of [[run], [run, exampleRun()]]) assertStringIncludes(document(runsPage(runs), NOW), "</html>");
    assertStringIncludes(reportText(run, 80), "odd: ");
  }
});

testInChromium("Chromium draws every chart of the page and has nothing to complain of", async () => {
  const begun = runRecord("/runs/begun", undefined, exampleMetrics().slice(0, 1));
  const cases: [name: string, runs: Parameters<typeof runsPage>[0], charts: number][] = [
    ["one run", [exampleRun()], 5],
    ["two runs, one with hostile text", [hostileRun(), exampleRun()], 5],
    ["a run that has only begun", [begun], 0],
  ];
  for (const [name, runs, charts] of cases) {
    const { dom, complaints } = await opened(document(runsPage(runs), NOW), 1280);
    assertEquals(complaints, [], name);
    assertEquals(dom.match(/<canvas/g)?.length ?? 0, charts, name);
  }
  const broken = document(runsPage([exampleRun()]), NOW).replace("drawAll();\n})", "drawAl();\n})");
  const { complaints } = await opened(broken, 390);
  assert(complaints.length > 0, "a script that is not the one expected is refused, and that is noticed");
});
